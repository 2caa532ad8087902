package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"golang.org/x/perf/benchmath"
)

// confidence is that of the intervals; fewer than six repeats have none.
const confidence = 0.95

// samples are what one race measured, in seconds.
type samples struct {
	What string `json:"what"`
	// OursIs and TheirsIs say what was run.
	OursIs   string    `json:"ours_is"`
	TheirsIs string    `json:"theirs_is"`
	Ours     []float64 `json:"ours"`
	Theirs   []float64 `json:"theirs"`
}

// side is one contender of a row, in seconds.
type side struct {
	Is      string    `json:"is"`
	Samples []float64 `json:"samples_s"`
	Median  float64   `json:"median_s"`
	// Low and High bound the median; nil where there are too few repeats.
	Low        *float64 `json:"low_s,omitempty"`
	High       *float64 `json:"high_s,omitempty"`
	Confidence float64  `json:"confidence,omitempty"`
}

// row is a line of the table.
type row struct {
	What   string `json:"what"`
	Ours   side   `json:"ours"`
	Theirs side   `json:"theirs"`
	// Ratio is the median of theirs over that of ours: above 1, ours is faster.
	Ratio float64 `json:"ratio"`
	// P is the Mann-Whitney U test's p-value of "no difference"; Different is
	// whether it is below the usual 0.05, which takes four repeats at least.
	P         float64 `json:"p"`
	Different bool    `json:"different"`
}

// newRow computes medians, intervals and the ratio. Both sides need a sample.
func newRow(s samples) (row, error) {
	if len(s.Ours) == 0 || len(s.Theirs) == 0 {
		return row{}, fmt.Errorf("compute %q: %d samples of ours, %d of theirs; each needs one", s.What, len(s.Ours), len(s.Theirs))
	}
	for is, values := range map[string][]float64{s.OursIs: s.Ours, s.TheirsIs: s.Theirs} {
		if repeated(values) {
			return row{}, fmt.Errorf("compute %q: %d samples of %q are all %.3f s, equal to the millisecond: one measurement was counted more than once", s.What, len(values), is, values[0])
		}
	}
	ours, theirs := sample(s.Ours), sample(s.Theirs)
	r := row{What: s.What, Ours: newSide(s.OursIs, s.Ours, ours), Theirs: newSide(s.TheirsIs, s.Theirs, theirs)}
	if r.Ours.Median <= 0 {
		return row{}, fmt.Errorf("compute %q: our median is %v s, so there is no ratio", s.What, r.Ours.Median)
	}
	r.Ratio = r.Theirs.Median / r.Ours.Median
	c := benchmath.AssumeNothing.Compare(ours, theirs)
	r.P, r.Different = c.P, c.P < c.Alpha
	return r, nil
}

// repeated reports whether all of several samples are the same to the millisecond, which
// what is measured again each time is not.
func repeated(values []float64) bool {
	return len(values) > 1 && !slices.ContainsFunc(values, func(v float64) bool {
		return math.Round(v*1000) != math.Round(values[0]*1000)
	})
}

// sample copies: benchmath sorts in place.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

func newSide(is string, values []float64, s *benchmath.Sample) side {
	sum := benchmath.AssumeNothing.Summary(s, confidence)
	out := side{Is: is, Samples: values, Median: sum.Center}
	if !math.IsInf(sum.Lo, 0) && !math.IsInf(sum.Hi, 0) {
		out.Low, out.High, out.Confidence = &sum.Lo, &sum.Hi, sum.Confidence
	}
	return out
}

func (s side) String() string {
	if s.Low == nil {
		return fmt.Sprintf("%.2f s (%s)", s.Median, s.spread())
	}
	return fmt.Sprintf("%.2f s [%.2f, %.2f]", s.Median, *s.Low, *s.High)
}

// spread is what there is to say of a few repeats.
func (s side) spread() string {
	return fmt.Sprintf("%.2f to %.2f", slices.Min(s.Samples), slices.Max(s.Samples))
}

func (r row) ratio() string {
	if r.Different {
		return fmt.Sprintf("%.2f", r.Ratio)
	}
	return fmt.Sprintf("%.2f ?", r.Ratio)
}

// writeTable writes the rows for people.
func writeTable(w io.Writer, rows []row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, "WHAT\tOURS\tTHEIRS\tTIME\tTHEIR TIME\tRATIO\tN"); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	for _, r := range rows {
		n := fmt.Sprint(len(r.Ours.Samples))
		if len(r.Theirs.Samples) != len(r.Ours.Samples) {
			n += "+" + fmt.Sprint(len(r.Theirs.Samples))
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Ours.Is, r.Theirs.Is, r.Ours, r.Theirs, r.ratio(), n); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	_, err := fmt.Fprintln(w, "\nMedians; [95% confidence interval], or (least to most) where there are too few repeats for one.\n"+
		"RATIO is their time over ours: above 1, ours is faster; ? means that the repeats do not show a difference (p >= 0.05).")
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
