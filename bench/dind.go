package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// The functions of the module that put Docker in at one of the moments.
const (
	buildTime = "build-time"
	runTime   = "runtime"
)

// measureDind races the two moments by calls of the module. The first call of
// each, which builds what the engine then keeps, is not measured.
func measureDind(ctx context.Context, o options, progress io.Writer) ([]samples, error) {
	for _, moment := range []string{buildTime, runTime} {
		if _, err := callDind(ctx, moment); err != nil {
			return nil, err
		}
	}
	at := func(is, moment string) contender {
		return contender{is, func(ctx context.Context) (time.Duration, error) { return callDind(ctx, moment) }}
	}
	return measureAll(ctx, progress, race{
		"Docker-in-Docker ready", at("Docker in the image", buildTime), at("Docker installed at run time", runTime), o.slow,
	})
}

// callDind calls the module once and takes the time from the run that it returns.
func callDind(ctx context.Context, moment string) (time.Duration, error) {
	out, _, err := timed(ctx, "dagger", "--progress", "plain", "call", moment, "--internet", "simulated", "json")
	if err != nil {
		return 0, err
	}
	run, err := report.Decode(bytes.NewReader(out))
	if err != nil {
		return 0, fmt.Errorf("read the run of %s: %w", moment, err)
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
