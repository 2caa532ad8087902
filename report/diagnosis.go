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
		names := []string{finding(d.Finding)}
		for _, f := range d.Further {
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

// DiagnosisText writes what the run means in plain sentences.
func DiagnosisText(w io.Writer, run model.Run) error {
	var b strings.Builder
	d := run.Diagnosis
	fmt.Fprintf(&b, "Diagnosis: %s\n", verdictText(d))
	writeObserved(&b, run)
	if d.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", clean(d.Summary))
	}
	if lines := startsFailed(run); len(lines) > 0 {
		b.WriteByte('\n')
		writeLines(&b, lines, "")
	}
	for _, w := range d.LastWords {
		fmt.Fprintf(&b, "\nLast words of %s in %s:\n", clean(w.Program), clean(w.Place))
		writeLines(&b, w.Lines, "    ")
	}
	writeFinding(&b, d.Finding)
	for _, f := range d.Further {
		fmt.Fprintf(&b, "\nAlso: %s\n", finding(f))
		writeFinding(&b, f)
	}
	if len(d.RuledOut) > 0 {
		b.WriteString("\nRuled out:\n")
		for _, r := range d.RuledOut {
			fmt.Fprintf(&b, "- %s: %s\n", clean(r.Cause), clean(r.Why))
		}
	}
	return flush(w, &b, "diagnosis")
}

func writeFinding(b *strings.Builder, f model.Finding) {
	if len(f.Environments) > 0 {
		fmt.Fprintf(b, "\nAffected: %s\n", clean(strings.Join(f.Environments, ", ")))
	}
	if len(f.Evidence) > 0 {
		b.WriteString("\nEvidence:\n")
		for _, e := range f.Evidence {
			fmt.Fprintf(b, "- %s\n", clean(e.Text))
		}
	}
	if p := f.Proof; p != nil {
		fmt.Fprintf(b, "\nProof: %s\n", clean(p.Text))
		for _, r := range p.Rounds {
			fmt.Fprintf(b, "  %-12s %s\n", clean(r.Name), roundText(r))
		}
	}
	if r := f.Remedy; r != nil {
		fmt.Fprintf(b, "\nRemedy: %s\n", clean(r.Name))
		for _, c := range r.Commands {
			fmt.Fprintf(b, "    %s\n", clean(c))
		}
		if r.Why != "" {
			fmt.Fprintf(b, "  %s\n", clean(r.Why))
		}
	}
}

func roundText(r model.Round) string {
	return fmt.Sprintf("%s (%d passed, %d failed)", cmp.Or(clean(string(r.Outcome)), none), r.Passed, r.Failed)
}
