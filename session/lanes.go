package session

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// Lanes makes the environments of a plan's rows, but of those that are skipped. Rows that
// lane gives one name share a lane, in the plan's order: what runs is what was planned.
func Lanes(rows []model.PlanItem, lane func(model.PlanItem) string, make func(model.PlanItem) (Environment, error)) ([][]Environment, error) {
	var lanes [][]Environment
	at := map[string]int{}
	for _, row := range rows {
		if row.Skip != "" {
			continue
		}
		env, err := make(row)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", row.Place, err)
		}
		if env.Place() != row.Place {
			return nil, fmt.Errorf("make %s: it is %s, which was not planned", row.Place, env.Place())
		}
		name := lane(row)
		if _, begun := at[name]; !begun {
			at[name] = len(lanes)
			lanes = append(lanes, nil)
		}
		lanes[at[name]] = append(lanes[at[name]], planned{env, row.Suites})
	}
	return lanes, nil
}

// planned is an environment with the suites of its plan.
type planned struct {
	Environment
	suites []string
}

// Suites implements Environment.
func (p planned) Suites() []string { return p.suites }

// Unwrap implements Wrapper.
func (p planned) Unwrap() Environment { return p.Environment }
