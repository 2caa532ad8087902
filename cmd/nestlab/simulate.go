package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/simulate"
	"github.com/nestlab/nestlab/world/faults"
)

func newSimulateCommand() *cobra.Command {
	c := simulate.Config{}
	inside, progress := false, ""
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run the whole comparison in a simulated runner with an internet of its own",
		Long: `Makes a runner and an internet in namespaces, starts a real dockerd and a real
LXD in it, probes every environment and writes journal.jsonl and run.json.
Needs root, and Docker and LXD installed; changes nothing of the host's network.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			closed, err := progressTo(cmd, progress)
			if err != nil {
				return err
			}
			defer closed()
			c.Version, c.Progress = version, cmd.ErrOrStderr()
			if err := c.Validate(); err != nil {
				return usageError(err)
			}
			if inside {
				return simulate.Inside(cmd.Context(), c)
			}
			return simulateOutside(cmd, c)
		},
	}
	simulateFlags(cmd, &c)
	f := cmd.Flags()
	f.BoolVar(&inside, "inside", false, "the part that runs inside the simulated runner")
	f.StringVar(&progress, "progress", "", "file or device that takes the progress instead of standard error")
	hide(f, "inside", "patience", "progress")
	return cmd
}

// hide leaves flags that nestlab gives itself out of the help.
func hide(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := f.MarkHidden(name); err != nil {
			panic(err)
		}
	}
}

// progressTo has what a command says on standard error go to a file or device, where
// one is named.
func progressTo(cmd *cobra.Command, path string) (closed func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open what takes the progress: %w", err)
	}
	cmd.SetErr(f)
	return func() { f.Close() }, nil
}

func simulateFlags(cmd *cobra.Command, c *simulate.Config) {
	f := cmd.Flags()
	f.StringVar(&c.Order, "order", simulate.DockerFirst, "which daemon starts first: docker-first or lxd-first")
	f.StringSliceVar(&c.Environments, "environments", nil, "run only these environments (default all)")
	f.StringSliceVar(&c.Scenarios, "scenarios", nil, "try these in guests: names, families or patterns of "+strings.Join(scenario.Names(), ", ")+"; !PATTERN leaves out")
	f.StringSliceVar(&c.Faults, "faults", nil, "break the runner in these ways: "+strings.Join(faults.Names(), ", "))
	f.StringVar(&c.DockerFrom, "docker-from", "", "the suite of Debian whose Docker the runner has, from the folder docker of the assets (bookworm, trixie or sid; default the Docker that is installed)")
	f.StringVar(&c.Assets, "assets", "/opt/nestlab", "directory with base.tar, lxd.tar and apt")
	f.StringVar(&c.Out, "out", "out", "directory for journal.jsonl and run.json")
	f.StringVar(&c.State, "state", "", "scratch directory, removed at the end (default a new one)")
	f.BoolVar(&c.Intervene, "intervene", true, "prove a cause by changing it and changing it back")
	f.IntVar(&c.Retries, "retries", 0, "how often a transient failure is tried again")
	f.StringVar(&c.Runner, "runner", simulate.Namespaced, "namespaced (on this kernel), or emulated: a machine of its own that QEMU runs")
	f.StringVar(&c.Machine, "machine", "/opt/nestlab-machine", "directory with the emulated runner's vmlinuz, initrd and root.img")
	f.IntVar(&c.Patience, "patience", 1, "how many times longer than on usual hardware everything may take")
}

// simulateOutside makes the world and runs this command again inside it.
func simulateOutside(cmd *cobra.Command, c simulate.Config) (err error) {
	if c.Out, err = filepath.Abs(c.Out); err != nil {
		return fmt.Errorf("find the directory for the results: %w", err)
	}
	if c.State == "" {
		if c.State, err = os.MkdirTemp("", "nestlab-simulate-"); err != nil {
			return fmt.Errorf("make a scratch directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.State)) }()
	}
	if err := simulate.Outside(cmd.Context(), c, cmd.ErrOrStderr()); err != nil {
		return fmt.Errorf("simulate (what was observed is in %s): %w", c.Out, err)
	}
	return nil
}
