package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/host/doctor"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/report"
)

// maxLayers bounds the causes that are fixed one after the other: each may hide the next.
const maxLayers = 3

// fixer applies fixes, looks, and reverts those that do not stay.
type fixer interface {
	Fix(ctx context.Context, run model.Run) ([]doctor.Fixed, error)
	Unfix(ctx context.Context, fixed []doctor.Fixed, before, after model.Run, last bool) (kept, waiting []doctor.Fixed, err error)
	examine(cmd *cobra.Command) (model.Run, error)
}

// apply applies fixes and looks again, as long as something else is found, and once more
// where what stays was seen beside what was reverted.
func (d *doctorFlags) apply(cmd *cobra.Command, by fixer, run model.Run) (now model.Run, all []doctor.Fixed, err error) {
	var waiting []doctor.Fixed
	stale := false // something was reverted since run
	notFixed := func(err error) {
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "not fixed:", report.Lines(err.Error()))
		}
	}
	for layer := range maxLayers {
		fixed, open := by.Fix(cmd.Context(), run)
		notFixed(open)
		if len(fixed) == 0 {
			break
		}
		for _, f := range fixed {
			fmt.Fprintf(d.Lines, "\napplied: %s\n", remedy.Text(f.Remedy))
		}
		before, tried := run, append(waiting, fixed...)
		run, err = by.examine(cmd)
		kept, wait, failed := by.Unfix(cmd.Context(), tried, before, run, layer == maxLayers-1)
		all, waiting, stale = append(all, kept...), wait, len(kept)+len(wait) < len(tried)
		notFixed(failed)
		if err != nil || failed != nil || run.Diagnosis.Verdict != model.CauseFound {
			break
		}
	}
	if len(waiting) > 0 {
		kept, _, failed := by.Unfix(cmd.Context(), waiting, run, run, true)
		all, stale = append(all, kept...), stale || len(kept) < len(waiting)
		notFixed(failed)
	}
	if stale && len(all) > 0 && err == nil {
		run, err = by.examine(cmd)
	}
	until := ", until the firewall or the machine restarts"
	if d.persist {
		until = ""
	}
	for _, f := range all {
		fmt.Fprintf(d.Lines, "%s%s; revert it: nestlab remedy revert %s\n", healed(f, run), until, f.Remedy.Name)
	}
	return run, all, err
}

// healed says what a fix healed, and what fails where it is: fixed is what nothing fails at.
func healed(f doctor.Fixed, now model.Run) string {
	left, all := f.Left(now)
	failing := doctor.Failing(now, f.Environments)
	at := f.Cause + " in " + strings.Join(f.Environments, ", ")
	switch {
	case failing == 0:
		return "fixed: " + at
	case left > 0:
		return fmt.Sprintf("healed in part: %s (%d of %d probes that failed by it pass; %d fail there)", at, all-left, all, failing)
	}
	return fmt.Sprintf("healed: %s (%d of %d probes that failed by it pass; %d fail there by something else)", at, all, all, failing)
}

// last makes persistent what is applied here by a person's order, now or before. What
// something has undone since is not.
func (d *doctorFlags) last(cmd *cobra.Command) error {
	h := remedy.Host{Journal: d.Journal}
	all, err := h.Status(cmd.Context())
	if err != nil {
		return withCode(exitUnobserved, err)
	}
	var applied []model.Remedy
	for _, s := range all {
		switch {
		case s.Owner != nil:
		case len(s.Missing) > 0:
			fmt.Fprintf(cmd.ErrOrStderr(), "not persistent: %s: something has undone it; what is left of it: nestlab remedy revert %s\n", remedy.Text(s.Remedy), s.Remedy.Name)
		default:
			applied = append(applied, s.Remedy)
		}
	}
	if len(applied) == 0 {
		return nil
	}
	return makePersistent(cmd.Context(), d.Lines, h, applied...)
}
