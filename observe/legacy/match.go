package legacy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Packet is what is known of one where it ended.
type Packet struct {
	Protocol            string // tcp, udp, icmp, …
	Source, Destination netip.AddrPort
	// Interface is the one that it came in by, or, of the host's own, that it was to leave by.
	Interface string
}

// Takes reports whether a rule may have taken a packet on a hook: nothing that it selects by and
// that is known speaks against it.
func (r Rule) Takes(hook string, p Packet) bool {
	if !slices.Contains(r.Hooks, hook) || (r.Family == "ip") != p.Source.Addr().Is4() {
		return false
	}
	words := Words(r.Text)
	in, out := p.Interface, ""
	if hook == "output" || hook == "postrouting" {
		in, out = "", p.Interface
	}
	for i := 0; i+1 < len(words); i++ {
		value, not := words[i+1], i > 0 && words[i-1] == "!"
		fits, known := true, true
		switch words[i] {
		case "-i":
			fits, known = named(value, in), in != ""
		case "-o":
			fits, known = named(value, out), out != ""
		case "-s":
			fits = holds(value, p.Source.Addr())
		case "-d":
			fits = holds(value, p.Destination.Addr())
		case "-p":
			fits = value == p.Protocol
		case "--sport", "--sports":
			fits, known = ported(value, p.Source.Port()), p.Source.Port() != 0
		case "--dport", "--dports":
			fits, known = ported(value, p.Destination.Port()), p.Destination.Port() != 0
		}
		if known && fits == not {
			return false
		}
	}
	return true
}

// named reports whether an interface has a name, or one that begins like that (eth+).
func named(pattern, name string) bool {
	if begin, any := strings.CutSuffix(pattern, "+"); any {
		return strings.HasPrefix(name, begin)
	}
	return pattern == name
}

// holds reports whether a network, or a single address, has an address; one with a mask that is
// no length may.
func holds(network string, a netip.Addr) bool {
	if n, err := netip.ParsePrefix(network); err == nil {
		return n.Contains(a)
	}
	one, err := netip.ParseAddr(network)
	return err != nil || one == a
}

// ported reports whether a port is among 80, 80:90 or 80,443:445.
func ported(list string, port uint16) bool {
	for one := range strings.SplitSeq(list, ",") {
		first, last, ranged := strings.Cut(one, ":")
		if !ranged {
			last = first
		}
		low, err := strconv.ParseUint(first, 10, 16)
		if err != nil && first != "" {
			return true // nothing that is known here
		}
		high, err := strconv.ParseUint(last, 10, 16)
		if err != nil {
			high = 1<<16 - 1
		}
		if uint64(port) >= low && uint64(port) <= high {
			return true
		}
	}
	return false
}

// Words splits a rule as iptables writes it. What is in double quotes is one word that keeps
// them, so that it is no option.
func Words(rule string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped := false, false
	for _, r := range rule {
		switch {
		case escaped:
			escaped = false
			word.WriteRune(r)
		case quoted && r == '\\':
			escaped = true
		case r == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
		default:
			if r == '"' {
				quoted = !quoted
			}
			word.WriteRune(r)
		}
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// Value is the word behind one of these options; empty for none.
func Value(words []string, options ...string) string {
	for i := 0; i+1 < len(words); i++ {
		if slices.Contains(options, words[i]) {
			return words[i+1]
		}
	}
	return ""
}
