package ruleset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/observe"
)

// programTime bounds each program; nft lists a large rule set in well under a second.
const programTime = 5 * time.Second

// retell shows the rules in the words of the programs that people write them with.
// What a program could not tell stays as it was, and is in Missing; one that is not
// installed is not missed.
func (v *View) retell(ctx context.Context) {
	// Without counters, and without the elements of named sets, which can be many.
	v.program(ctx, parseNFT, "nft", "--terse", "--stateless", "--handle", "list", "ruleset")
	for family, program := range map[Family]string{IP: "iptables-nft-save", IP6: "ip6tables-nft-save"} {
		for _, t := range v.Tables {
			if t.Family == family && t.XTables {
				v.program(ctx, parseSave(family, t.Name), program, "-t", t.Name)
			}
		}
	}
}

// parser takes a program's output into a view.
type parser func(v *View, out []byte) error

func (v *View) program(ctx context.Context, parse parser, name string, args ...string) {
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return
	}
	if err == nil {
		err = parse(v, out)
	}
	if err != nil {
		if said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		v.Missing = append(v.Missing, observe.Unavailable{Source: name, Why: "rules are not shown in its words", Err: err})
	}
}

// lines returns a scanner that takes long lines.
func lines(out []byte) *bufio.Scanner {
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, max(len(out)+1, bufio.MaxScanTokenSize))
	return s
}

const handleMark = " # handle "

// parseNFT takes the rules' text from nft's listing, by their handles. A rule with a
// long anonymous set goes over several lines, the last of which has the handle.
func parseNFT(v *View, out []byte) error {
	var at ChainID
	var pending []string
	inChain := false
	for s := lines(out); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		body, handle, marked := cutHandle(line)
		words := strings.Fields(body)
		switch {
		case len(words) >= 4 && words[0] == "table" && words[3] == "{": // # progname and more may follow
			at, inChain = ChainID{Family: Family(words[1]), Table: unquote(words[2])}, false
		case len(words) == 3 && words[0] == "chain" && words[2] == "{" && !inChain:
			at.Chain, inChain, pending = unquote(words[1]), true, nil
		case !inChain:
		case line == "}" && len(pending) == 0:
			inChain = false
		case marked:
			v.say(at, handle, FromNFT, strings.Join(append(pending, body), " "))
			pending = nil
		case len(pending) == 0 && header(words):
		default:
			pending = append(pending, line)
		}
	}
	return nil
}

// header reports whether the words are of a chain's own lines, before its rules.
func header(words []string) bool {
	return len(words) == 0 || words[0] == "type" || words[0] == "comment" || words[0] == "policy"
}

func cutHandle(line string) (body string, handle uint64, ok bool) {
	i := strings.LastIndex(line, handleMark)
	if i < 0 {
		return line, 0, false
	}
	handle, err := strconv.ParseUint(line[i+len(handleMark):], 10, 64)
	if err != nil {
		return line, 0, false
	}
	return line[:i], handle, true
}

func unquote(name string) string { return strings.Trim(name, `"`) }

// say shows the rule of a handle in a program's words.
func (v *View) say(at ChainID, handle uint64, source TextSource, text string) {
	c := v.Chain(at)
	if c == nil {
		return
	}
	for i := range c.Rules {
		if c.Rules[i].Handle == handle {
			c.Rules[i].Text, c.Rules[i].Source = text, source
		}
	}
}

// parseSave takes the rules' text from iptables-nft-save, which knows no handles:
// by their place in the chain, where both have as many.
func parseSave(family Family, table string) parser {
	return func(v *View, out []byte) error {
		said := map[string][]string{}
		for s := lines(out); s.Scan(); {
			if words := strings.SplitN(s.Text(), " ", 3); len(words) >= 2 && words[0] == "-A" {
				said[words[1]] = append(said[words[1]], s.Text())
			}
		}
		for chain, texts := range said {
			c := v.Chain(ChainID{family, table, chain})
			if c == nil || len(c.Rules) != len(texts) {
				continue
			}
			for i := range texts {
				c.Rules[i].Text, c.Rules[i].Source = texts[i], FromSave
			}
		}
		return nil
	}
}
