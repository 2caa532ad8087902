package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// The functions of the module that install Docker in one of the install phases.
const (
	buildTime = "build-time"
	runTime   = "runtime"
)

// measureDind races the two install phases by calls of the module. The first call of
// each, which builds what the engine then keeps, is not measured.
func measureDind(ctx context.Context, o options, progress io.Writer) ([]samples, error) {
	seen := runs{}
	for _, phase := range []string{buildTime, runTime} {
		if _, err := callDind(ctx, phase, seen); err != nil {
			return nil, err
		}
	}
	at := func(is, phase string) contender {
		return contender{is, func(ctx context.Context) (time.Duration, error) { return callDind(ctx, phase, seen) }}
	}
	return measureAll(ctx, progress, race{
		"Docker-in-Docker ready", at("Docker in the image", buildTime), at("Docker installed at run time", runTime), o.slow,
	})
}

// runs are the identities of those that were measured.
type runs map[string]bool

// add refuses a run that does not come from the call that began at a time: one that was
// counted before, or that began earlier, is the engine's memory of another call.
func (r runs) add(run model.Run, call time.Time) error {
	switch {
	case run.ID == "":
		return errors.New("the run has no identity: it was made by another version of nestlab")
	case r[run.ID]:
		return fmt.Errorf("the run %s was measured before: the engine answered from its cache", run.ID)
	case run.Start.Before(call):
		return fmt.Errorf("the run %s began at %s, before the call at %s: the engine answered from its cache",
			run.ID, run.Start.Format(time.RFC3339), call.Format(time.RFC3339))
	}
	r[run.ID] = true
	return nil
}

// callDind calls the module once and takes the time from the run that it returns.
func callDind(ctx context.Context, phase string, seen runs) (time.Duration, error) {
	call := time.Now()
	out, _, err := timed(ctx, "dagger", "--progress", "plain", "call", phase, "--internet", "simulated", "json")
	if err != nil {
		return 0, err
	}
	run, err := report.Decode(bytes.NewReader(out))
	if err != nil {
		return 0, fmt.Errorf("read the run of %s: %w", phase, err)
	}
	if err := seen.add(run, call); err != nil {
		return 0, fmt.Errorf("measure %s: %w", phase, err)
	}
	return untilReady(run)
}

// untilReady is how long it took in a container that runs already until its
// daemon answered: the installation, if any, and the daemon's start.
func untilReady(run model.Run) (time.Duration, error) {
	var total time.Duration
	ready := false
	for _, t := range run.Setups {
		if t.Environment != model.EnvDind || !slices.Contains([]string{model.StepInstall, model.StepDaemonReady}, t.Step) {
			continue
		}
		total += time.Duration(t.DurationMS) * time.Millisecond
		ready = ready || t.Step == model.StepDaemonReady
	}
	if !ready {
		return 0, fmt.Errorf("the run says nothing of a daemon that became ready: its results say why")
	}
	return total, nil
}
