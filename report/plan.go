package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/nestlab/nestlab/model"
)

// Plan is a plan as a table.
func Plan(p model.Plan) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, internet %s: %d environments\n\n", p.Command, p.Internet, len(p.Items))
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	tried := slices.ContainsFunc(p.Items, func(i model.PlanItem) bool { return i.Scenario != "" })
	line := func(environment, setup, scenario, suites string) {
		if tried {
			environment += "\t" + scenario
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", environment, setup, suites)
	}
	line("ENVIRONMENT", "SETUP", "SCENARIO", "SUITES")
	for _, i := range p.Items {
		suites := strings.Join(i.Suites, ", ")
		if i.Skip != "" {
			suites = "skipped: " + i.Skip
		}
		line(i.Environment, cmp.Or(i.Setup, "-"), cmp.Or(i.Scenario, "-"), suites)
	}
	// A tabwriter over a strings.Builder cannot fail.
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return text.String()
}
