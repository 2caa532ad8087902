package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// verdictText is the heading of a diagnosis.
func verdictText(d model.Diagnosis) string {
	switch d.Verdict {
	case model.Healthy:
		return "healthy"
	case model.CauseFound:
		var names []string
		for _, f := range byCause(d) {
			names = append(names, finding(f))
		}
		return strings.Join(names, ", ")
	case model.Undetermined:
		return "undetermined"
	default:
		return "not diagnosed"
	}
}

func finding(f model.Finding) string {
	return fmt.Sprintf("%s (%s)", clean(f.Cause), clean(string(f.Confidence)))
}

// DiagnosisText writes all that a run means.
func DiagnosisText(w io.Writer, run model.Run) error {
	return showDiagnosis(w, run, Style{Verbose: true})
}

// showDiagnosis writes what a run means: the cause, whom it affects, its fix, then the
// evidence. What was ruled out is for who wants all.
func showDiagnosis(w io.Writer, run model.Run, s Style) error {
	var b strings.Builder
	d := run.Diagnosis
	writeHeadline(&b, d, s)
	if line := Observed(run); line != "" {
		fmt.Fprintf(&b, "\n%s\n", s.wrap(line, "  "))
	}
	for _, line := range startsFailed(run) {
		fmt.Fprintf(&b, "\n%s\n", s.wrap(clean(line), "  "))
	}
	for _, w := range d.LastWords {
		fmt.Fprintf(&b, "\nLast words of %s in %s:\n", clean(w.Program), clean(w.Place))
		writeLines(&b, w.Lines, "    ")
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "\n%s\n", s.wrap("note: "+clean(n), "  "))
	}
	for _, n := range run.Notes { // a daemon of the runner ended: its last words are here
		fmt.Fprintf(&b, "\n%s\n", s.wrap("note: "+clean(n), "  "))
	}
	told := map[string]bool{}
	for i, f := range append([]model.Finding{d.Finding}, d.Further...) {
		if i > 0 {
			fmt.Fprintf(&b, "\n%s\n", s.wrap(fmt.Sprintf("Of %s in %s:", clean(f.Cause), clean(strings.Join(f.Environments, ", "))), "  "))
		}
		if r := f.Remedy; r != nil && r.Why != "" && !told[r.Why] {
			told[r.Why] = true
			fmt.Fprintf(&b, "\n%s\n", s.wrap("About the fix: "+clean(r.Why), "  "))
		}
		writeFinding(&b, f, s)
	}
	if len(d.Unexplained) > 0 {
		b.WriteString("\nNot explained by this:\n")
		writeEvidence(&b, d.Unexplained, s)
	}
	switch n := len(d.RuledOut); {
	case s.Verbose:
		writeRest(&b, d, s)
	case n > 0:
		fmt.Fprintf(&b, "\n%s ruled out: see --verbose\n", plural(n, "other cause"))
	}
	return flush(w, &b, "diagnosis")
}

// writeRest writes what was ruled out, and the whole in sentences.
func writeRest(b *strings.Builder, d model.Diagnosis, s Style) {
	if len(d.RuledOut) > 0 {
		b.WriteString("\nRuled out:\n")
		for _, r := range d.RuledOut {
			fmt.Fprintf(b, "%s\n", s.wrap("- "+clean(r.Cause)+": "+clean(r.Why), "  "))
		}
	}
	if d.Summary != "" {
		fmt.Fprintf(b, "\nIn sentences:\n%s\n", s.wrap(clean(d.Summary), ""))
	}
}

func writeEvidence(b *strings.Builder, all []model.Evidence, s Style) {
	for _, e := range all {
		fmt.Fprintf(b, "%s\n", s.wrap("- "+clean(e.Text), "  "))
	}
}

func writeFinding(b *strings.Builder, f model.Finding, s Style) {
	if p := f.Proof; p != nil {
		fmt.Fprintf(b, "\n%s\n", s.wrap("Proof: "+clean(p.Text), "  "))
		for _, r := range p.Rounds {
			fmt.Fprintf(b, "  %-12s %s\n", clean(r.Name), roundText(r))
		}
	}
	if len(f.Evidence) > 0 {
		b.WriteString("\nEvidence:\n")
		writeEvidence(b, f.Evidence, s)
	}
}

func roundText(r model.Round) string {
	return fmt.Sprintf("%s (%d passed, %d failed)", cmp.Or(clean(string(r.Outcome)), none), r.Passed, r.Failed)
}
