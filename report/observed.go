package report

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// Observed says when a run was observed and which one it is, so that two prints can be
// told apart. It is empty for a run that never began.
func Observed(run model.Run) string {
	if run.Start.IsZero() {
		return ""
	}
	line := "Observed " + run.Start.UTC().Format("2006-01-02 15:04:05 UTC")
	if run.ID != "" {
		line += ", run " + clean(run.ID)
	}
	if n := len(run.Parts); n > 0 {
		line += fmt.Sprintf(" (merged from %s)", plural(n, "run"))
	}
	return line
}
