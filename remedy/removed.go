package remedy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// removed is a rule of someone else's that was taken out of an iptables chain.
type removed struct {
	variant
	Table string `json:"table"`
	Chain string `json:"chain"`
	// Position counts from 1; Line is how iptables -S shows the rule, and Count how
	// many of the chain's rules look like that.
	Position int    `json:"position"`
	Line     string `json:"line"`
	Count    int    `json:"count"`
	// Packets and Bytes are what it had counted.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (r *removed) String() string { return fmt.Sprintf("rule %q taken out of %s", r.Line, r.Table) }
func (r *removed) lasts() bool    { return false }
func (r *removed) over() string   { return r.Program + " " + r.Table + " " + r.Chain }

// lines are the chain's rules as iptables -S shows them.
func (r *removed) lines() ([]string, error) {
	tables, err := r.open()
	if err != nil {
		return nil, err
	}
	all, err := tables.List(r.Table, r.Chain)
	if err != nil {
		return nil, fmt.Errorf("list the chain %s: %w", r.Chain, err)
	}
	return slices.DeleteFunc(all, func(l string) bool { return !strings.HasPrefix(l, "-A ") }), nil
}

func equals(lines []string, line string) int {
	n := 0
	for _, l := range lines {
		if l == line {
			n++
		}
	}
	return n
}

func (r *removed) do(context.Context, func() error) error {
	lines, err := r.lines()
	if err != nil {
		return err
	}
	if r.Position > len(lines) || lines[r.Position-1] != r.Line {
		return fmt.Errorf("the chain %s was changed meanwhile; try again", r.Chain)
	}
	tables, err := r.open()
	if err != nil {
		return err
	}
	return tables.DeleteById(r.Table, r.Chain, r.Position)
}

func (r *removed) undo(ctx context.Context) error {
	there, err := chains(ctx, func(c model.ForwardChain) bool { return variantOf(c) == r.variant && c.Table == r.Table })
	if err != nil || len(there) == 0 {
		return err // the whole table is gone
	}
	lines, err := r.lines()
	if err != nil {
		return err
	}
	if equals(lines, r.Line) >= r.Count {
		return nil
	}
	words, err := Words(r.Line)
	if err != nil {
		return err
	}
	tables, err := r.open()
	if err != nil {
		return err
	}
	words = append(words[2:], "-c", strconv.FormatUint(r.Packets, 10), strconv.FormatUint(r.Bytes, 10))
	return tables.Insert(r.Table, r.Chain, min(r.Position, len(lines)+1), words...)
}

func (r *removed) in(ctx context.Context) (bool, error) {
	there, err := chains(ctx, func(c model.ForwardChain) bool { return variantOf(c) == r.variant && c.Table == r.Table })
	if err != nil || len(there) == 0 {
		return false, err
	}
	lines, err := r.lines()
	return equals(lines, r.Line) < r.Count, err
}

// Words splits a line of iptables -S as iptables quotes it: in double quotes,
// with a backslash before quotes and backslashes in them.
func Words(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun, quoted, escaped := false, false, false
	for _, c := range []byte(line) {
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted, begun = !quoted, true
		case !quoted && c == ' ':
			if begun {
				words = append(words, word.String())
				word.Reset()
			}
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quoted || escaped {
		return nil, fmt.Errorf("split the rule %q: a quote is not closed", line)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// takeRule is the step that takes out one rule that a look at the chains found.
func takeRule(c model.ForwardChain, d model.DropRule) (record, error) {
	r := &removed{variant: variantOf(c), Table: c.Table, Chain: d.Chain, Line: d.Rule, Packets: d.Packets, Bytes: d.Bytes}
	lines, err := r.lines()
	if err != nil {
		return record{}, err
	}
	r.Position, r.Count = slices.Index(lines, d.Rule)+1, equals(lines, d.Rule)
	words, err := Words(d.Rule)
	if err != nil {
		return record{}, err
	}
	if r.Position == 0 || len(words) < 3 {
		return record{}, fmt.Errorf("the rule %q is not in the chain %s any more; try again", d.Rule, d.Chain)
	}
	return record{Removed: r}, nil
}
