package accuracy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/simulate"
	"github.com/nestlab/nestlab/world/faults"
)

// What was measured lies in the folder CasesDir, with a folder for each case: its
// run and CaseFile.
const (
	CasesDir = "cases"
	CaseFile = "case.json"
)

// Measured is a case that was carried out.
type Measured struct {
	Case
	// Seconds are those from the first environment's start to the diagnosis,
	// with its interventions.
	Seconds float64 `json:"seconds"`
	// Error says why there is no diagnosis, or what else went wrong.
	Error string `json:"error,omitempty"`
}

// Run carries the cases out and leaves a folder for each in config.Out. A case
// that goes wrong is a result as well; an error means that nothing more can be
// measured.
func Run(ctx context.Context, config simulate.Config, cases []Case) error {
	all, err := groups(cases)
	if err != nil {
		return err
	}
	for _, g := range all {
		if err := runGroup(ctx, config, g); err != nil {
			return fmt.Errorf("measure the cases of %s: %w", g.key, err)
		}
	}
	return nil
}

func runGroup(ctx context.Context, config simulate.Config, g group) (err error) {
	out := config.Out
	config.Order, config.DockerFrom, config.State = g.order, g.docker, filepath.Join(config.State, g.key)
	config.Environments, config.Intervene = environments(), true
	if err := os.MkdirAll(config.State, 0o755); err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	lab, err := simulate.Open(ctx, config, g.atStart, config.Progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	for _, c := range g.cases {
		if err := runCase(ctx, lab, out, c); err != nil {
			return err
		}
	}
	return nil
}

// deadlines are for what takes less than two seconds where nothing is broken, and
// would else hang for minutes in every round.
var deadlines = map[string]time.Duration{
	model.ProbeAptUpdate: 20 * time.Second, model.ProbeAptInstall: 20 * time.Second,
	model.ProbeRegistryPull: 30 * time.Second, model.ProbePathMTU: 15 * time.Second,
}

func runCase(ctx context.Context, lab *simulate.Lab, out string, c Case) error {
	broken, err := faults.Find(c.Faults)
	if err != nil {
		return err
	}
	dir := filepath.Join(out, CasesDir, c.Name)
	begin := time.Now()
	failed := lab.Case(ctx, simulate.Session{
		Out: dir, Suites: c.Suites, Environments: c.Environments, Deadlines: deadlines,
	}, broken)
	m := Measured{Case: c, Seconds: time.Since(begin).Seconds()}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failed != nil {
		m.Error = failed.Error()
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the case %s: %w", c.Name, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of case %s: %w", c.Name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, CaseFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the case %s: %w", c.Name, err)
	}
	return nil
}
