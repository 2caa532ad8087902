package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/vm"
)

func newVMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vm",
		Short: "Probe containers and virtual machines of an LXD and of QEMU beside this machine",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newVMRunCommand(), newVMGCCommand(), newVMLookCommand(), newVMSendCommand(), newVMTuneCommand())
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
	cmd.Flags().DurationVar(&limit, "resolver-timeout", 2*time.Second, "how long the resolvers may take to answer; 0 for asking none")
	return cmd
}

// newVMSendCommand is what a QEMU guest runs a command by.
func newVMSendCommand() *cobra.Command {
	var port, token string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:    "send --port FILE --token TOKEN -- COMMAND [ARG...]",
		Short:  "Run a command and write what it prints to a virtio-serial port as it comes",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if limit != 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			code, err := vm.Send(ctx, port, token, args, cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return withCode(exitUnobserved, err)
			}
			if code != 0 {
				return withCode(code, fmt.Errorf("%s ended with %d", args[0], code))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&port, "port", "", "the port's device")
	cmd.Flags().StringVar(&token, "token", "", "what marks the output as this command's")
	cmd.Flags().DurationVar(&limit, "limit", 0, "how long the command may take, with all that it begins; 0 for any time")
	return cmd
}
