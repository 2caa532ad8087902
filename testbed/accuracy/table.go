package accuracy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Table writes cases, summary and confusion matrix for people.
func Table(w io.Writer, all []Scored) error {
	s := Summarize(all)
	_, err := fmt.Fprintf(w, "%s\n\n%s%s\n\nWhat was broken alone, and what was named first\n\n%s\n", cases(all), observed(all), s.Text(), s.matrix())
	if err != nil {
		return fmt.Errorf("write the accuracy: %w", err)
	}
	return nil
}

// observed says when the cases were observed.
func observed(all []Scored) string {
	var first, last time.Time
	for _, c := range all {
		if c.Start.IsZero() {
			continue
		}
		if first.IsZero() || c.Start.Before(first) {
			first = c.Start
		}
		if c.Start.After(last) {
			last = c.Start
		}
	}
	if first.IsZero() {
		return ""
	}
	const form = "2006-01-02 15:04:05"
	return fmt.Sprintf("Observed %s to %s UTC\n", first.UTC().Format(form), last.UTC().Format(form))
}

func cases(all []Scored) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"case", "right", "named", "not there", "seconds"})
	for _, c := range all {
		var named []string
		for _, n := range c.Named {
			named = append(named, fmt.Sprintf("%s (%s)", n.Cause, n.Confidence))
		}
		if c.Skipped != "" {
			t.AppendRow(table.Row{c.Name, "not here", c.Skipped, "", ""})
			continue
		}
		if len(named) == 0 {
			named = []string{c.first()}
		}
		t.AppendRow(table.Row{c.Name, mark(c), strings.Join(named, "\n"), strings.Join(c.False, "\n"), fmt.Sprintf("%.1f", c.Seconds)})
	}
	return t.Render()
}

func mark(c Scored) string {
	switch {
	case c.All:
		return "yes"
	case c.Right:
		return "in part"
	}
	return "no"
}

// Text is the summary in plain lines.
func (s Summary) Text() string {
	return fmt.Sprintf(`One thing broken: the first cause is right in %d of %d (%.0f %%), proven by intervention in %d of the %d of these where one is possible; %d undetermined, %d wrong.
Two things broken: both named in %d of %d (%.0f %%), the first one right in %d.
Public reports: %s
By somebody who does not know the rules: %s
Healthy: a cause named in %d of %d. Causes named that were not there, in all: %d.
Mean time to a diagnosis: %.1f s.`,
		s.SinglesRight, s.Singles, 100*s.RightShare, s.SinglesProven, s.SinglesProvable, s.Undetermined, s.Wrong,
		s.PairsBoth, s.Pairs, 100*s.PairsBothShare, s.PairsFirst,
		s.Public, s.Blind, s.HealthyFalse, s.Healthy, s.FalseCauses, s.MeanSeconds)
}

// String is the tally in a line.
func (t Tally) String() string {
	return fmt.Sprintf("the first finding is right in %d of %d, proven in %d of these; %d undetermined, %d wrong and proven.",
		t.Right, t.Cases, t.Proven, t.Undetermined, t.WrongProven)
}

// matrix lists for each broken thing what was named, and how often.
func (s Summary) matrix() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"broken", "named first"})
	for _, broken := range slices.Sorted(maps.Keys(s.Confusion)) {
		var named []string
		for _, name := range slices.Sorted(maps.Keys(s.Confusion[broken])) {
			named = append(named, fmt.Sprintf("%s: %d", name, s.Confusion[broken][name]))
		}
		t.AppendRow(table.Row{broken, strings.Join(named, "\n")})
	}
	return t.Render()
}
