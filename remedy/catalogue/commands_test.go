package catalogue_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Whatever is given for any parameter of any remedy, a shell reads the same
// commands, with that in the place of a plain word.
func FuzzCommandsKeepToTheirWord(f *testing.F) {
	for _, seed := range []string{
		"lxdbr0", "'; reboot; '", "", "a b\n$(c)`d`", "/media/x/$(id)/y z", `https://m.example/"]|$v`,
		"inet $(id)", "inet x; flush ruleset", "a;b", "#", "a\nreboot", `\`, "*", "~", "-x", "&& x", "1400", "fd42::/64",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		if strings.Contains(given, "\x00") || choosesCommands(given) {
			t.Skip("no word of a shell, or one that chooses other commands")
		}
		for _, r := range catalogue.All() {
			for _, p := range r.Parameters {
				if given == "" && r.Name == catalogue.AcceptBefore {
					continue // none given, which makes another command
				}
				for _, others := range []map[string]string{{}, examples(r)} {
					want, got := printed(r, others, p, plainWord), printed(r, others, p, given)
					require.Len(t, got, len(want), "%s %s", r.Name, p.Name)
					for i := range want {
						requireWords(t, p.Name, given, want[i], got[i])
					}
				}
			}
		}
	})
}

// plainWord stands for what is given. It is in no command by itself.
const plainWord = "plainword"

// choosesCommands tells what makes other commands and not only other words.
func choosesCommands(given string) bool {
	_, number := strconv.Atoi(given)
	_, network := netip.ParsePrefix(given)
	return number == nil || network == nil || given == catalogue.V6 || given == catalogue.Link || given == "yes" || given == "answers" || strings.Contains(given, ",")
}

func examples(r catalogue.Remedy) map[string]string {
	out := map[string]string{}
	for _, p := range r.Parameters {
		out[p.Name] = strings.Trim(p.Example, "'")
	}
	return out
}

// printed are the remedy's commands and its way back with one parameter's value.
func printed(r catalogue.Remedy, others map[string]string, p catalogue.Parameter, value string) []string {
	parameters := maps.Clone(others)
	parameters[p.Name] = value
	return append(r.Commands(parameters), r.Undo(parameters)...)
}

// requireWords compares two commands word by word: one with the plain word, the
// other with what was given in its place, or with the parameter's name in capitals
// where what was given would be read by more than the shell.
func requireWords(t *testing.T, name, given, plain, command string) {
	t.Helper()
	want, got := shellWords(t, plain), shellWords(t, command)
	require.Len(t, got, len(want), command)
	for i, as := range want {
		value := given
		if strings.HasPrefix(plain, "nft ") || strings.HasPrefix(as, "comment ") {
			if strings.Trim(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-") != "" || given == "" {
				value = strings.ToUpper(name)
			}
		}
		if strings.HasPrefix(as, "nestlab-") {
			value = strings.NewReplacer("/", "-", ":", "-", "@", "-").Replace(value)
		}
		require.Equal(t, strings.ReplaceAll(as, plainWord, bytesAsRunes(value)), got[i], command)
	}
}

// bytesAsRunes gives each byte a character of its own: a shell takes bytes as they
// come, its parser wants UTF-8 and drops a carriage return at the end of a line.
func bytesAsRunes(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		if b == '\r' {
			out.WriteRune(carriageReturn)
		} else {
			out.WriteRune(rune(b))
		}
	}
	return out.String()
}

const carriageReturn = '\ue00d'

// shellWords is what a shell reads in a line: words without their quotes, comments,
// and the commands and operators that hold them. It refuses whatever a shell would
// expand, but for the output of the catalogue's own commands, in quotes.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true)).Parse(strings.NewReader(bytesAsRunes(line)), "")
	require.NoError(t, err, line)
	return wordsIn(t, file)
}

func wordsIn(t *testing.T, of syntax.Node) []string {
	t.Helper()
	var out []string
	syntax.Walk(of, func(node syntax.Node) bool {
		switch n := node.(type) {
		case nil:
			out = append(out, "end")
		case *syntax.Comment:
			out = append(out, "comment "+n.Text)
		case *syntax.Stmt:
			out = append(out, fmt.Sprintf("statement, in the background: %t, negated: %t", n.Background, n.Negated))
		case *syntax.BinaryCmd:
			out = append(out, "operator "+n.Op.String())
		case *syntax.Redirect:
			out = append(out, "operator "+n.Op.String())
		case *syntax.Word:
			word, inner := shellWord(t, n.Parts, false)
			out = append(append(out, word), inner...)
			return false
		case *syntax.File, *syntax.CallExpr:
			out = append(out, fmt.Sprintf("%T", n))
		default:
			require.Fail(t, "a command of another kind", "%T", n)
		}
		return true
	})
	return out
}

// shellWord is the text of a word, and what is read in the commands in it.
func shellWord(t *testing.T, parts []syntax.WordPart, quoted bool) (word string, inner []string) {
	t.Helper()
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.SglQuoted:
			require.False(t, p.Dollar)
			word += p.Value
		case *syntax.Lit:
			plain := strings.ReplaceAll(p.Value, `\'`, "")
			if plain != "!=" {
				require.False(t, strings.ContainsAny(plain, "\t\n$`\"&|;<>()*?[]#~!{}\\"+string(carriageReturn)), p.Value)
			}
			word += strings.ReplaceAll(p.Value, `\'`, "'")
		case *syntax.DblQuoted:
			text, more := shellWord(t, p.Parts, true)
			word, inner = word+text, append(inner, more...)
		case *syntax.CmdSubst:
			require.True(t, quoted, "what a command says is one word")
			for _, s := range p.Stmts {
				inner = append(inner, wordsIn(t, s)...)
			}
			word += "the output of it"
		default:
			require.Fail(t, "a shell would expand it", "%T", p)
		}
	}
	return word, inner
}
