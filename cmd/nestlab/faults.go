package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/testbed/world/faults"
)

func newWorldFaultsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "faults",
		Short: "List the faults that can be injected",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "FAULT\tAFFECTS\tWHAT IS BROKEN")
			for _, f := range faults.All() {
				fmt.Fprintf(table, "%s\t%s\t%s\n", f.Name, strings.Join(f.Affects, " "), f.About)
			}
			if err := table.Flush(); err != nil {
				return fmt.Errorf("list the faults: %w", err)
			}
			return nil
		},
	}
}
