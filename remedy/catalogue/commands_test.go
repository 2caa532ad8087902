package catalogue_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
	return number == nil || network == nil || given == catalogue.V6 || given == catalogue.Link
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
		require.Equal(t, strings.ReplaceAll(as, plainWord, value), got[i], command)
	}
}

// shellWords reads a line as a shell does, and refuses whatever a shell would
// expand or run outside of quotes, but for the operators of the catalogue's own.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if strings.HasPrefix(line, "#") {
			require.NotContains(t, line, "\n", "a comment ends with its line")
			return append(out, "comment "+line)
		}
		own, rest, _ := strings.Cut(line, " ")
		if own == ">" || own == "&&" || own == "&" || own == "!=" {
			out, line = append(out, "operator "+own), rest
			continue
		}
		var word string
		word, line = shellWord(t, line)
		out = append(out, word)
	}
	return out
}

// shellWord reads the first word of a line, and gives the rest.
func shellWord(t *testing.T, line string) (word, rest string) {
	t.Helper()
	var out strings.Builder
	for line != "" && line[0] != ' ' {
		switch {
		case strings.HasPrefix(line, "'"):
			inside, after, closed := strings.Cut(line[1:], "'")
			require.True(t, closed, line)
			out.WriteString(inside)
			line = after
		case strings.HasPrefix(line, `\'`):
			out.WriteByte('\'')
			line = line[2:]
		default:
			require.NotContains(t, "\t\r\n$`\"&|;<>()*?[]#~!{}\\", line[:1], line)
			out.WriteByte(line[0])
			line = line[1:]
		}
	}
	return out.String(), line
}

// A real shell and a real jq do what the commands say, to a file with a hostile
// name as well, and the way back gives what was there.
func TestDaemonFileCommandsRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("there is no jq here: ", err)
	}
	const hostile = `/media/x/$(touch ran)/it's "a" b; touch ran #`
	for _, test := range []struct {
		name, parameter, value, before, after, back string
	}{
		{"docker-mtu", "mtu", "1400", `{"debug":true}`, `{"debug":true,"mtu":1400}`, `{"debug":true}`},
		{"storage-driver", "driver", "vfs", `{}`, `{"storage-driver":"vfs"}`, `{}`},
		{"docker-data-root", "path", hostile, `{}`, fmt.Sprintf(`{"data-root":%q}`, hostile), `{}`},
		{"ip-forward-no-drop", "", "", `{}`, `{"ip-forward-no-drop":true}`, `{}`},
		{"registry-mirror", "url", "https://m/$(touch ran)", `{}`, `{"registry-mirrors":["https://m/$(touch ran)"]}`, `{}`},
		{"registry-mirror", "url", "https://m/a b", `{"registry-mirrors":["https://old"]}`, `{"registry-mirrors":["https://m/a b","https://old"]}`, `{"registry-mirrors":["https://old"]}`},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "d $(touch ran)'s.json")
		require.NoError(t, os.WriteFile(file, []byte(test.before), 0o600))
		r, err := catalogue.Find(test.name)
		require.NoError(t, err)
		parameters := map[string]string{"file": file}
		if test.parameter != "" {
			maps.Copy(parameters, map[string]string{test.parameter: test.value})
		}
		require.JSONEq(t, test.after, edited(t, dir, file, r.Commands(parameters)), test.name)
		require.JSONEq(t, test.back, edited(t, dir, file, r.Undo(parameters)), test.name)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing but the file: %v", entries)
	}
}

// edited runs all commands but for those to the daemon, and reads the file.
func edited(t *testing.T, dir, file string, commands []string) string {
	t.Helper()
	for _, command := range commands {
		if strings.HasPrefix(command, "systemctl ") {
			continue
		}
		run := exec.CommandContext(t.Context(), "sh", "-c", command)
		run.Dir = dir
		out, err := run.CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
