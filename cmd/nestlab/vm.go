package main

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/vm"
)

func newVMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vm",
		Short: "Probe containers and virtual machines of an LXD beside this machine",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newVMRunCommand(), newVMLookCommand())
	return cmd
}

// newVMLookCommand is what a guest is asked for until it is ready.
func newVMLookCommand() *cobra.Command {
	var limit time.Duration
	cmd := &cobra.Command{
		Use:    "look",
		Short:  "Print this guest's addresses, its default route and whether a resolver answers, as JSON",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sight, err := vm.Look(cmd.Context(), probe.DefaultResolvConf, limit)
			if err != nil {
				return withCode(exitUnobserved, err)
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(sight)
		},
	}
	cmd.Flags().DurationVar(&limit, "resolver-timeout", 2*time.Second, "how long a resolver may take to answer")
	return cmd
}
