package facts

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Listed is one chain as "iptables -v -S CHAIN" prints it.
type Listed struct {
	Chain string
	// Policy is empty for a chain that is no base chain.
	Policy         string
	Packets, Bytes uint64
	// Jumps are the targets of its rules that are no verdict, in order.
	Jumps []string
	Drops []model.DropRule
}

// ParseListed reads the lines that "iptables -v -S CHAIN" prints. Counters are
// understood as "-c PACKETS BYTES" and as "[PACKETS:BYTES]"; comments and blank
// lines are passed over. A line that is neither policy, chain nor rule is an error.
func ParseListed(chain string, lines []string) (Listed, error) {
	out := Listed{Chain: chain}
	for _, line := range lines {
		words := splitWords(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 2 {
			return out, fmt.Errorf("parse iptables line %q: too short", clip(line))
		}
		packets, bytes, err := counters(words)
		if err != nil {
			return out, fmt.Errorf("parse iptables line %q: %w", clip(line), err)
		}
		switch words[0] {
		case "-P":
			if len(words) < 3 {
				return out, fmt.Errorf("parse iptables line %q: no policy", clip(line))
			}
			out.Policy, out.Packets, out.Bytes = words[2], packets, bytes
		case "-N":
		case "-A":
			out.rule(line, words, packets, bytes)
		default:
			return out, fmt.Errorf("parse iptables line %q: neither policy, chain nor rule", clip(line))
		}
	}
	return out, nil
}

func (l *Listed) rule(line string, words []string, packets, bytes uint64) {
	switch target := targetOf(words); target {
	case "", "ACCEPT", "RETURN", "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CHECKSUM", "CT", "NOTRACK":
	case "DROP", "REJECT":
		l.Drops = append(l.Drops, model.DropRule{Chain: l.Chain, Rule: withoutCounters(line), Packets: packets, Bytes: bytes})
	default:
		l.Jumps = append(l.Jumps, target)
	}
}

// targetOf is what follows -j or -g.
func targetOf(words []string) string {
	for i := 0; i+1 < len(words); i++ {
		if words[i] == "-j" || words[i] == "-g" {
			return words[i+1]
		}
	}
	return ""
}

func counters(words []string) (packets, bytes uint64, err error) {
	for i, w := range words {
		if w == "-c" && i+2 < len(words) {
			return parsePair(words[i+1], words[i+2])
		}
		if inner, ok := strings.CutPrefix(w, "["); ok && strings.HasSuffix(inner, "]") {
			p, b, found := strings.Cut(strings.TrimSuffix(inner, "]"), ":")
			if found && digits(p) && digits(b) {
				return parsePair(p, b)
			}
		}
	}
	return 0, 0, nil
}

func parsePair(p, b string) (packets, bytes uint64, err error) {
	if packets, err = strconv.ParseUint(p, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("packet counter: %w", err)
	}
	if bytes, err = strconv.ParseUint(b, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("byte counter: %w", err)
	}
	return packets, bytes, nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// withoutCounters is the rule as one would type it.
func withoutCounters(line string) string {
	before, after, found := strings.Cut(line, " -c ")
	if !found {
		return line
	}
	words := strings.SplitN(after, " ", 3)
	if len(words) < 2 || !digits(words[0]) || !digits(words[1]) {
		return line
	}
	if len(words) == 2 {
		return before
	}
	return before + " " + words[2]
}

// splitWords splits a line as iptables quotes it: words in double quotes, with
// backslashes before quotes and backslashes in them. What is in quotes is kept
// with its opening quote, so that a comment "-j" is not taken for an option.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped := false, false
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
			word.WriteRune(r)
		case !quoted && (r == ' ' || r == '\t'):
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return words
}

// clip keeps odd input out of error texts.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
