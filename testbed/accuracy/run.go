package accuracy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/simulate"
	"github.com/nestlab/nestlab/testbed/world/faults"
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
	// Skipped says why this machine could not be broken in that way; the case does
	// not count.
	Skipped string `json:"skipped,omitempty"`
}

// Left are the cases that are still to be carried out, of which out may have some.
func Left(a spec.Accuracy, out string) ([]Case, error) {
	cases, err := Select(a)
	if err != nil || !a.Resume {
		return cases, err
	}
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool {
		_, err := os.Stat(filepath.Join(out, CasesDir, c.Name, CaseFile))
		return err == nil
	}), nil
}

// Run carries the cases out that are asked for and leaves a folder for each in
// config.Out. A case that goes wrong is a result as well; an error means that of some
// cases nothing could be measured. Most of what a case takes is waiting for answers that
// do not come, so several runners are at work at a time.
func Run(ctx context.Context, config simulate.Config, a spec.Accuracy) error {
	cases, err := Left(a, config.Out)
	if err != nil {
		return err
	}
	all, err := groups(cases)
	if err != nil {
		return err
	}
	config.Request = spec.NewSimulation()
	config.Request.Runner = a.Runner
	progress := &lines{to: config.Progress}
	var work errgroup.Group
	work.SetLimit(max(1, a.Parallel))
	errs := make([]error, len(all))
	for i, g := range all {
		g.key = fmt.Sprintf("%02d-%s", i, g.key) // a directory's name: several may need the same start
		work.Go(func() error {
			c := config
			c.Progress = progress.of(g.key)
			if err := runGroup(ctx, c, g); err != nil {
				errs[i] = fmt.Errorf("measure the cases of %s: %w", g.key, err)
			}
			return nil // the others go on
		})
	}
	return errors.Join(append(errs, work.Wait())...)
}

func runGroup(ctx context.Context, config simulate.Config, g group) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := config.Out
	config.Request.Order, config.Request.DockerFrom, config.Request.IPv6, config.Request.Environments = g.order, g.docker, g.ipv6, g.environments
	config.State = filepath.Join(config.State, g.key)
	if err := os.MkdirAll(config.State, 0o755); err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	// Several of them at once would fill the machine's memory.
	defer func() { err = errors.Join(err, os.RemoveAll(config.State)) }()
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
	model.ProbeAptUpdate: 20 * time.Second, model.ProbeAptInstall: time.Minute, // of which none without lists
	model.ProbeRegistryPull: 30 * time.Second, model.ProbePathMTU: 15 * time.Second,
}

func runCase(ctx context.Context, lab *simulate.Lab, out string, c Case) error {
	broken, err := testbed.Find(c.Faults)
	if err != nil {
		return err
	}
	dir := filepath.Join(out, CasesDir, c.Name)
	// What an earlier run says of the case is not this one's.
	if err := os.Remove(filepath.Join(dir, CaseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier run left of the case %s: %w", c.Name, err)
	}
	begin := time.Now()
	failed := lab.Case(ctx, simulate.Session{
		Out: dir, Suites: c.Suites, Environments: c.Environments, Deadlines: deadlines,
	}, broken)
	m := Measured{Case: c, Seconds: time.Since(begin).Seconds()}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case errors.Is(failed, faults.ErrNotHere):
		m.Skipped = failed.Error()
	case failed != nil:
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
