package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/model"
)

// mayWatch says what does not go with watching, and that an interval goes with nothing else.
func (d *doctorFlags) mayWatch(interval bool) error {
	switch {
	case !d.watch && interval:
		return errors.New("--interval is the time between the looks of --watch: add --watch")
	case !d.watch:
		return nil
	case d.fix || d.json || d.actions:
		return errors.New("--watch tells what changes on this host, and goes without --fix, --json and --actions")
	case d.interval < time.Second:
		return fmt.Errorf("--interval %s: give one second or more", d.interval)
	}
	return nil
}

// watched looks again until the context ends, and shows a run with its proofs where something
// else fails than before, or by something else. As long as nothing is new it changes nothing.
func (d *doctorFlags) watched(cmd *cobra.Command, last model.Run) error {
	intervene, lines := d.Intervene, d.Lines
	failing, causes := failingIn(last), []string(nil) // those of looks without tests
	for pause(cmd.Context(), d.interval) {
		d.Intervene, d.Lines = false, io.Discard
		now, err := d.again(cmd)
		d.Intervene, d.Lines = intervene, lines
		if cmd.Context().Err() != nil {
			return nil // it was interrupted, as is meant
		}
		if err != nil {
			return err
		}
		same := slices.Equal(failing, failingIn(now)) && (causes == nil || slices.Equal(causes, causesIn(now)))
		failing, causes = failingIn(now), causesIn(now)
		if same {
			continue
		}
		if _, err := fmt.Fprintf(lines, "\n%s: something has changed\n", time.Now().Format(time.TimeOnly)); err != nil {
			return err
		}
		if _, err := d.examine(cmd); err != nil && cmd.Context().Err() == nil {
			return err
		}
	}
	return nil
}

// failingIn lists what fails as it is.
func failingIn(run model.Run) []string {
	var all []string
	for _, r := range model.Final(run.Results) {
		if r.Round == model.RoundBaseline && r.Outcome.Bad() {
			all = append(all, fmt.Sprint(r.Place, r.Probe, r.Target))
		}
	}
	slices.Sort(all)
	return all
}

// causesIn lists the causes that a run names.
func causesIn(run model.Run) []string {
	all := []string{string(run.Diagnosis.Verdict)}
	for _, f := range append([]model.Finding{run.Diagnosis.Finding}, run.Diagnosis.Further...) {
		all = append(all, f.Cause)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// again looks once more, at bridges that have come since too.
func (d *doctorFlags) again(cmd *cobra.Command) (model.Run, error) {
	if _, _, err := d.Look(cmd.Context()); err != nil { // what was not asked was told at first
		return model.Run{}, withCode(exitUnobserved, err)
	}
	run, err := d.Run(cmd.Context())
	return run, withCode(exitUnobserved, err)
}

// pause waits; it is false where the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
