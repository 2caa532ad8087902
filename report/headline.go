package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/nestlab/nestlab/model"
)

// Headline writes what a run comes to in a few lines: each cause, whom it affects and its
// fix, what did not start and why, and the count of its probes.
func Headline(w io.Writer, run model.Run) error {
	var b strings.Builder
	writeHeadline(&b, run.Diagnosis, Style{})
	for _, line := range startsFailed(run) {
		fmt.Fprintf(&b, "%s\n", Style{}.wrap(clean(line), "  "))
	}
	fmt.Fprintf(&b, "%s\n", Style{}.wrap(Summary(run), "  "))
	return flush(w, &b, "headline")
}

// writeHeadline writes what a run comes to: each cause, whom it affects and its fix, the
// commands on lines of their own.
func writeHeadline(b *strings.Builder, d model.Diagnosis, s Style) {
	switch d.Verdict {
	case model.CauseFound:
		for i, f := range byCause(d) {
			if i > 0 {
				b.WriteByte('\n')
			}
			writeCause(b, f, s)
		}
	case model.Healthy:
		says := ": nothing failed unexpectedly."
		if len(d.Skipped) > 0 {
			says = fmt.Sprintf(" as far as was looked: nothing failed unexpectedly. Not looked at: %s.", clean(strings.Join(d.Skipped, ", ")))
		}
		fmt.Fprintf(b, "%s\n", s.wrap(s.paint("Healthy", text.Bold, text.FgGreen)+says, ""))
	case model.Undetermined:
		fmt.Fprintln(b, s.paint("Undetermined", text.Bold, text.FgRed)+": no known cause fits what failed.")
	default:
		b.WriteString("The run ended before it was diagnosed.\n")
	}
}

// heading is what a cause is told under.
type heading struct {
	cause, title string
	confidence   model.Confidence
	fix          string
}

func headingOf(f model.Finding) heading {
	h := heading{cause: f.Cause, title: f.Title, confidence: f.Confidence}
	if f.Remedy != nil {
		h.fix = f.Remedy.Name
	}
	return h
}

// byCause are the findings of a diagnosis, those under one heading as one: whom they
// affect, and the commands of all fixes.
func byCause(d model.Diagnosis) []model.Finding {
	var all []model.Finding
	at := map[heading]int{}
	for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
		i, known := at[headingOf(f)]
		if !known {
			at[headingOf(f)] = len(all)
			all = append(all, f)
			continue
		}
		all[i].Environments = union(all[i].Environments, f.Environments)
		if f.Remedy != nil {
			r := *all[i].Remedy
			r.Commands = union(r.Commands, f.Remedy.Commands)
			all[i].Remedy = &r
		}
	}
	return all
}

// proofWord says whether a cause was proven.
func proofWord(c model.Confidence) string {
	if c == model.Proven {
		return "proven"
	}
	return "not proven"
}

func writeCause(b *strings.Builder, f model.Finding, s Style) {
	title := clean(cmp.Or(f.Title, f.Cause))
	line := s.wrap(fmt.Sprintf("%s (%s, %s)", title, clean(f.Cause), proofWord(f.Confidence)), "")
	fmt.Fprintf(b, "%s\n", s.paint(line, text.Bold, text.FgRed))
	if len(f.Environments) > 0 {
		fmt.Fprintf(b, "%s\n", s.wrap("Affected: "+clean(strings.Join(f.Environments, ", ")), "  "))
	}
	if f.Remedy == nil {
		b.WriteString("No fix on this machine is known.\n")
		return
	}
	fmt.Fprintf(b, "Fix (%s):\n\n", clean(f.Remedy.Name))
	for _, c := range f.Remedy.Commands {
		fmt.Fprintf(b, "    %s\n", clean(c)) // never broken: it is to be copied
	}
}
