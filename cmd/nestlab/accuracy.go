package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/accuracy"
	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/simulate"
)

func newAccuracyCommand() *cobra.Command {
	c := simulate.Config{}
	var patterns []string
	var list bool
	var progress string
	o := accuracy.Options{}
	cmd := &cobra.Command{
		Use:   "accuracy",
		Short: "Measure how often the diagnosis is right, in simulated runners that are broken on purpose",
		Long: `Breaks simulated runners in known ways, one case after the other, has each
diagnosed, and compares. Leaves a folder with the run of each case, accuracy.json
and accuracy.txt. Needs root, and Docker and LXD installed. With --runner emulated
the cases are those of LXD's virtual machine, one after the other in a machine of
its own: many minutes each.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cases, err := selectCases(c, patterns)
			if err != nil {
				return usageError(err)
			}
			if list {
				for _, one := range cases {
					fmt.Fprintln(cmd.OutOrStdout(), one.Name)
				}
				return nil
			}
			closed, err := progressTo(cmd, progress)
			if err != nil {
				return err
			}
			defer closed()
			c.Version, c.Progress = version, cmd.ErrOrStderr()
			return measure(cmd, c, cases, o)
		},
	}
	accuracyFlags(cmd.Flags(), &c, &o)
	f := cmd.Flags()
	f.StringSliceVar(&patterns, "cases", nil, "only the cases whose names fit one of these patterns")
	f.BoolVar(&list, "list", false, "list the cases, and run none")
	f.StringVar(&progress, "progress", "", "file or device that takes the progress instead of standard error")
	hide(f, "patience", "progress")
	cmd.AddCommand(newScoreCommand())
	return cmd
}

// accuracyFlags say how, and where, cases are carried out.
func accuracyFlags(f *pflag.FlagSet, c *simulate.Config, o *accuracy.Options) {
	f.IntVar(&o.Parallel, "parallel", 3, "how many simulated runners are at work at a time")
	f.BoolVar(&o.Resume, "resume", false, "leave out the cases that are in the directory for the runs already")
	f.StringVar(&c.Assets, "assets", "/opt/nestlab", "directory with base.tar, lxd.tar and apt")
	f.StringVar(&c.Out, "out", "out", "directory for the runs and the figures")
	f.StringVar(&c.State, "state", "", "scratch directory (default a new one, removed at the end)")
	f.StringVar(&c.Runner, "runner", simulate.Namespaced, "namespaced (on this kernel), or emulated: a machine of its own that QEMU runs, for LXD's virtual machine")
	f.StringVar(&c.Machine, "machine", "/opt/nestlab-machine", "directory with the emulated runner's vmlinuz, initrd and root.img")
	f.IntVar(&c.Patience, "patience", 1, "how many times longer than on usual hardware everything may take")
}

// selectCases are those that fit the patterns, of the runner that is asked for: in the
// emulated one this command runs once more, which tells it from here by its patience.
func selectCases(c simulate.Config, patterns []string) ([]accuracy.Case, error) {
	if c.Patience > 1 {
		c.Runner = simulate.Emulated
	}
	all, err := accuracy.CasesOf(c.Runner)
	if err != nil {
		return nil, err
	}
	return accuracy.Select(all, patterns)
}

func measure(cmd *cobra.Command, c simulate.Config, cases []accuracy.Case, o accuracy.Options) (err error) {
	if c.Out, err = filepath.Abs(c.Out); err != nil {
		return fmt.Errorf("find the directory for the results: %w", err)
	}
	if c.State == "" {
		if c.State, err = os.MkdirTemp("", "nestlab-accuracy-"); err != nil {
			return fmt.Errorf("make a scratch directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.State)) }()
	}
	if c.Runner == simulate.Emulated {
		return errors.Join(measureInMachine(cmd, c, cases, o), score(cmd, c.Out, accuracy.AsRecorded))
	}
	// What was measured before something went wrong counts as well.
	return errors.Join(accuracy.Run(cmd.Context(), c, cases, o), score(cmd, c.Out, accuracy.AsRecorded))
}

// measureInMachine runs this command in a machine of its own, one case after the other.
func measureInMachine(cmd *cobra.Command, c simulate.Config, cases []accuracy.Case, o accuracy.Options) error {
	if cases = o.Left(c.Out, cases); len(cases) == 0 {
		return nil
	}
	c.Environments = cases[0].Environments // of all of them, one case after the other
	args := append([]string{"accuracy", "--parallel", "1"}, simulate.MachineFlags()...)
	for _, one := range cases {
		args = append(args, "--cases", one.Name)
	}
	return simulate.InMachine(cmd.Context(), c, args, c.Progress)
}

func newScoreCommand() *cobra.Command {
	again := false
	cmd := &cobra.Command{
		Use:   "score DIR",
		Short: "Compare again the runs that nestlab accuracy left, of several calls together",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if again {
				return score(cmd, args[0], diagnose.Diagnose)
			}
			return score(cmd, args[0], accuracy.AsRecorded)
		},
	}
	cmd.Flags().BoolVar(&again, "again", false, "diagnose the recorded runs anew, with this program's rules; it tests no cause that the run did not")
	return cmd
}

// score writes accuracy.json and accuracy.txt, and prints the latter.
func score(cmd *cobra.Command, dir string, d accuracy.Diagnoser) error {
	all, err := accuracy.Load(dir, d)
	if err != nil {
		return err
	}
	var figures, text bytes.Buffer
	if err := errors.Join(accuracy.Write(&figures, all), accuracy.Table(&text, all)); err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "accuracy.json"), figures.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "accuracy.txt"), text.Bytes(), 0o644),
	)
	if err != nil {
		return fmt.Errorf("write the accuracy: %w", err)
	}
	_, err = cmd.OutOrStdout().Write(text.Bytes())
	return err
}
