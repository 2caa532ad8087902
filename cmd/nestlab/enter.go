package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/testbed/world"
)

// newEnterCommand puts a container of an engine into the simulated internet that
// is bound to it as a service.
func newEnterCommand() *cobra.Command {
	e := world.Entry{}
	cmd := &cobra.Command{
		Use:    "enter -- COMMAND [ARG...]",
		Short:  "Use a simulated internet that runs as a service, then run a command",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.Enter(cmd.Context()); err != nil {
				return err
			}
			path, err := exec.LookPath(args[0])
			if err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			if err := syscall.Exec(path, args, os.Environ()); err != nil {
				return fmt.Errorf("run %s: %w", path, err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&e.Internet, "internet", "internet", "the service's host name")
	cmd.Flags().StringVar(&e.Targets, "targets", "targets.yaml", "file to write the simulated targets to")
	cmd.Flags().BoolVar(&e.Unprivileged, "unprivileged", false, "give up what a plain container does not have")
	cmd.Flags().DurationVar(&e.Timeout, "timeout", 30*time.Second, "how long the internet may take to answer")
	return cmd
}
