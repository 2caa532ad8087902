package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func newRemedyRevertCommand(host *remedy.Host) *cobra.Command {
	return &cobra.Command{
		Use:   "revert [NAME...]",
		Short: "Revert remedies: those that are named, or all of the journal",
		Long: `Reverts what the journal names, the last one first, whether it was applied in
full or a process was killed over it. What is not applied is nothing to do. With
the last persistent remedy goes the service that applies it again.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			for _, n := range names {
				if _, err := catalogue.Find(n); err != nil {
					return usageError(err)
				}
			}
			if _, err := host.Applied(); err != nil {
				return withCode(exitUnobserved, err)
			}
			// First: what is persistent would be applied again.
			reverted, released := release(cmd.Context(), *host, names)
			more, err := revertNamed(cmd, host, names)
			err = errors.Join(released, err)
			reverted = append(reverted, slices.DeleteFunc(more, func(r model.Remedy) bool { return slices.ContainsFunc(reverted, r.Equal) })...)
			for _, r := range reverted {
				then := ""
				if known, unknown := catalogue.Find(r.Name); unknown == nil {
					then = left(known.ThenBack)
				}
				if _, werr := fmt.Fprintf(cmd.OutOrStdout(), "reverted: %s\n%s", remedy.Text(r), then); werr != nil {
					return errors.Join(err, werr)
				}
			}
			if err == nil && len(reverted) == 0 {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "nothing to revert")
			}
			return err
		},
	}
}

func revertNamed(cmd *cobra.Command, host *remedy.Host, names []string) (reverted []model.Remedy, err error) {
	if len(names) == 0 {
		return host.RevertAll(cmd.Context())
	}
	applied, err := host.Applied()
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(applied) {
		if !slices.Contains(names, r.Name) {
			continue
		}
		if err := host.Revert(cmd.Context(), r); err != nil {
			return reverted, err
		}
		reverted = append(reverted, r)
	}
	return reverted, nil
}
