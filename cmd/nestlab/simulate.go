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
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/simulate"
)

func newSimulateCommand() *cobra.Command {
	c := simulate.Config{Request: spec.NewSimulation()}
	var inside bool
	var progress string
	var read func(*cobra.Command) error
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
			if inside { // it is told what is asked for
				return simulate.Inside(cmd.Context(), c)
			}
			if err := read(cmd); err != nil {
				return err
			}
			return simulateOutside(cmd, c)
		},
	}
	read = requestFlags(cmd, &c.Request, simulationFlags)
	f := cmd.Flags()
	testbedFlags(f, &c)
	f.StringVar(&c.Out, "out", "out", "directory for journal.jsonl and run.json")
	f.BoolVar(&inside, "inside", false, "the part that runs inside the simulated runner")
	f.StringVar(&progress, "progress", "", "file or device that takes the progress instead of standard error")
	hide(f, "inside", "progress")
	return cmd
}

// simulationFlags make the request.
func simulationFlags(f *pflag.FlagSet, s *spec.Simulation) {
	wordVar(f, &s.Order, "order", "which daemon starts first")
	f.StringSliceVar(&s.Environments, "environments", nil, "run only these: names or patterns of "+strings.Join(spec.EnvironmentNames(spec.CommandSimulate), ", ")+"; !PATTERN leaves out (default all)")
	f.StringSliceVar(&s.Scenarios, "scenarios", nil, "try these in guests: names, families or patterns of "+strings.Join(scenario.Names(), ", ")+"; !PATTERN leaves out")
	f.StringSliceVar(&s.Faults, "faults", nil, "faults to inject: "+strings.Join(spec.Faults(), ", "))
	wordVar(f, &s.DockerFrom, "docker-from", "the suite of Debian whose Docker the runner has, from the folder docker of the assets; the Docker that is installed if empty")
	f.BoolVar(&s.IPv6, "ipv6", false, "give the runner, its bridges and its internet IPv6 that works; hosted runners have none")
	f.BoolVar(&s.Intervene, "intervene", true, "prove a cause by changing it and changing it back")
	f.IntVar(&s.Retries, "retries", 0, "number of retries after a transient failure")
	f.IntVar(&s.TimeoutScale, "timeout-scale", 1, "how many times longer than usual everything may take, on a slow or busy machine")
	alias(f, "patience", "timeout-scale")
	wordVar(f, &s.Runner, "runner", "a runner on this kernel, or in a machine of its own that QEMU runs")
}

// testbedFlags say where a simulation finds what it is made of.
func testbedFlags(f *pflag.FlagSet, c *simulate.Config) {
	f.StringVar(&c.Assets, "assets", "/opt/nestlab", "directory with base.tar, lxd.tar and apt")
	f.StringVar(&c.State, "state", "", "scratch directory (default a new one, removed at the end)")
	f.StringVar(&c.Machine, "machine", "/opt/nestlab-machine", "directory with the emulated runner's vmlinuz, initrd and root.img")
	f.BoolVar(&c.InMachine, "in-machine", false, "this is the emulated runner's machine")
	hide(f, "in-machine")
}

// prepare makes the paths absolute, and a scratch directory where none is named, which
// the function it returns removes.
func prepare(c *simulate.Config, command spec.Command) (clean func() error, err error) {
	if c.Out, err = filepath.Abs(c.Out); err != nil {
		return nil, fmt.Errorf("find the directory for the results: %w", err)
	}
	if c.State != "" {
		return func() error { return nil }, nil
	}
	if c.State, err = os.MkdirTemp("", "nestlab-"+string(command)+"-"); err != nil {
		return nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	return func() error { return os.RemoveAll(c.State) }, nil
}

// simulateOutside makes the world and runs this command again inside it.
func simulateOutside(cmd *cobra.Command, c simulate.Config) (err error) {
	clean, err := prepare(&c, spec.CommandSimulate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	if err := simulate.Outside(cmd.Context(), c, cmd.ErrOrStderr()); err != nil {
		return fmt.Errorf("simulate (partial results are in %s): %w", c.Out, err)
	}
	return nil
}
