package main

import (
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

// apply applies fixes and looks again, as long as something else is found.
func (d *doctorFlags) apply(cmd *cobra.Command, run model.Run) (now model.Run, all []doctor.Fixed, err error) {
	for range maxLayers {
		fixed, open := d.Fix(cmd.Context(), run.Diagnosis)
		if open != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "not fixed:", report.Lines(open.Error()))
		}
		if len(fixed) == 0 {
			break
		}
		for _, f := range fixed {
			fmt.Fprintf(d.Lines, "\napplied: %s\n", remedy.Text(f.Remedy))
		}
		before := run
		run, err = d.examine(cmd)
		kept, failed := d.Unfix(cmd.Context(), fixed, before, run)
		all = append(all, kept...)
		if failed != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "not fixed:", report.Lines(failed.Error()))
		}
		if err != nil || failed != nil || run.Diagnosis.Verdict != model.CauseFound {
			break
		}
	}
	until := ", until the firewall or the machine restarts"
	if d.persist {
		until = ""
	}
	for _, f := range all {
		fmt.Fprintf(d.Lines, "fixed: %s in %s%s; revert it: nestlab remedy revert %s\n", f.Cause, strings.Join(f.Environments, ", "), until, f.Remedy.Name)
	}
	return run, all, err
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
