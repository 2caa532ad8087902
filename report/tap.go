package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// tapEscapes are the characters that mean something in a TAP description.
var tapEscapes = strings.NewReplacer(`\`, `\\`, `#`, `\#`)

func tap(s string) string { return tapEscapes.Replace(clean(s)) }

// TAP writes the baseline in the Test Anything Protocol, version 14. Expected
// failures are TODO, as TAP calls what may fail.
func TAP(w io.Writer, run model.Run) error {
	var b strings.Builder
	results := baseline(run)
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(results))
	if line := Observed(run); line != "" {
		fmt.Fprintf(&b, "# %s\n", tap(line))
	}
	for i, r := range results {
		status := "not ok"
		if r.Outcome == model.Pass || r.Outcome == model.XPass || r.Outcome == model.Skip {
			status = "ok"
		}
		fmt.Fprintf(&b, "%s %d - %s%s\n", status, i+1,
			tap(strings.Join([]string{r.Place.String(), r.Probe, r.Target}, " ")), tapDirective(r))
		if r.Outcome.Bad() {
			fmt.Fprintf(&b, "# %s: %s\n", tap(string(r.Outcome)+" "+string(r.Reason)), tap(r.Detail.Message))
		}
	}
	for _, p := range Places(run) {
		for _, line := range placeLines(run, p) {
			if line.status == placeUnobserved {
				fmt.Fprintf(&b, "# %s\n", tap(line.text))
			}
		}
	}
	return flush(w, &b, "TAP")
}

func tapDirective(r model.Result) string {
	switch r.Outcome {
	case model.Skip:
		return " # SKIP " + tap(string(r.Reason)+" "+r.Detail.Message)
	case model.XFail:
		return " # TODO expected " + tap(string(r.Reason))
	default:
		return ""
	}
}
