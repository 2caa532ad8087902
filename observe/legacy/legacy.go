// Package legacy reads the rules of iptables-legacy, which no trace of nf_tables shows, with
// what they counted, and tells which of them may have ended a packet. It reads the tables that
// the kernel has, and makes none.
package legacy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is a rule, or a policy, that drops or rejects.
type Rule struct {
	Family string // ip or ip6
	Table  string
	Chain  string
	// Number is its place in its chain, from 1; 0 for the policy.
	Number int
	// Text is the rule as iptables takes it, without its counters; empty for a policy.
	Text    string
	Rejects bool
	Packets uint64
	// Hooks are those that its chain is reached from, by the names of base chains.
	Hooks []string
}

// Bounds of what is read.
const (
	readWithin = 3 * time.Second
	maxRules   = 1 << 14
)

// programs are those that list the tables of a family.
var programs = map[string]string{"ip": "iptables-legacy-save", "ip6": "ip6tables-legacy-save"}

// Tables are the names of the tables of a family, ip or ip6, that the kernel has; none where it
// has no iptables-legacy.
func Tables(family string) ([]string, error) {
	text, err := os.ReadFile("/proc/thread-self/net/" + family + "_tables_names")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the legacy tables of family %s: %w", family, err)
	}
	return strings.Fields(string(text)), nil
}

// Read reads all rules that drop.
func Read(ctx context.Context) ([]Rule, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	var all []Rule
	for _, family := range []string{"ip", "ip6"} {
		tables, err := Tables(family)
		if err != nil {
			return all, err
		}
		if len(tables) == 0 {
			continue // to list a table that is not there would make it
		}
		out, err := exec.CommandContext(ctx, programs[family], "-c").Output()
		if err != nil {
			return all, fmt.Errorf("list the legacy tables of family %s: %w", family, err)
		}
		all = append(all, Parse(family, out)...)
	}
	return all, nil
}

// Parse reads what iptables-legacy-save -c prints, and keeps what drops.
func Parse(family string, text []byte) []Rule {
	var all []Rule
	table, numbers := "", map[string]int{}
	leads := map[string][]string{} // from which chains there is a way to one
	var bases []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan() && len(all) < maxRules; {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "*"):
			table, numbers, leads, bases = line[1:], map[string]int{}, map[string][]string{}, nil
		case strings.HasPrefix(line, ":"):
			words := strings.Fields(line[1:])
			if len(words) != 3 || words[1] == "-" {
				continue
			}
			bases = append(bases, words[0])
			if words[1] == "DROP" {
				all = append(all, Rule{Family: family, Table: table, Chain: words[0], Packets: packetsOf(words[2])})
			}
		case strings.HasPrefix(line, "["):
			counts, rule, _ := strings.Cut(line, " ")
			words := Words(rule)
			if len(words) < 2 || words[0] != "-A" {
				continue
			}
			chain := words[1]
			numbers[chain]++
			switch target := Value(words, "-j", "-g"); target {
			case "DROP", "REJECT":
				all = append(all, Rule{Family: family, Table: table, Chain: chain, Number: numbers[chain], Text: rule, Rejects: target == "REJECT", Packets: packetsOf(counts)})
			default:
				leads[target] = append(leads[target], chain)
			}
		case line == "COMMIT":
			for i := range all {
				if all[i].Table == table && all[i].Hooks == nil {
					all[i].Hooks = hooksOf(all[i].Chain, bases, leads)
				}
			}
		}
	}
	return all
}

// hooksOf are the base chains from which there is a way to a chain.
func hooksOf(chain string, bases []string, leads map[string][]string) (hooks []string) {
	seen := map[string]bool{chain: true}
	for todo := []string{chain}; len(todo) > 0; todo = todo[1:] {
		if slices.Contains(bases, todo[0]) && !slices.Contains(hooks, strings.ToLower(todo[0])) {
			hooks = append(hooks, strings.ToLower(todo[0]))
		}
		for _, from := range leads[todo[0]] {
			if !seen[from] {
				seen[from] = true
				todo = append(todo, from)
			}
		}
	}
	return hooks
}

// packetsOf is the first number of a counter such as [12:3456].
func packetsOf(counter string) uint64 {
	packets, _, _ := strings.Cut(strings.TrimPrefix(counter, "["), ":")
	n, _ := strconv.ParseUint(packets, 10, 64) // none where it is none
	return n
}

// Since are the rules that took packets since they were read before, with how many.
func Since(before, after []Rule) []Rule {
	type place struct {
		family, table, chain, text string
		number                     int
	}
	at := func(r Rule) place { return place{r.Family, r.Table, r.Chain, r.Text, r.Number} }
	counted := map[place]uint64{}
	for _, r := range before {
		counted[at(r)] = r.Packets
	}
	var all []Rule
	for _, r := range after {
		if old, known := counted[at(r)]; known && r.Packets > old {
			r.Packets -= old
			all = append(all, r)
		}
	}
	return all
}
