package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/accuracy"
	"github.com/nestlab/nestlab/testbed/simulate"
)

func newAccuracyCommand() *cobra.Command {
	c, a := simulate.Config{}, spec.NewAccuracy()
	var list bool
	var progress string
	var read func(*cobra.Command) error
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
			if err := read(cmd); err != nil {
				return err
			}
			if list {
				return listCases(cmd, a)
			}
			closed, err := progressTo(cmd, progress)
			if err != nil {
				return err
			}
			defer closed()
			c.Version, c.Progress = version, cmd.ErrOrStderr()
			return measure(cmd, c, a)
		},
	}
	read = requestFlags(cmd, &a, accuracyFlags)
	f := cmd.Flags()
	testbedFlags(f, &c)
	f.StringVar(&c.Out, "out", "out", "directory for the runs and the figures")
	f.BoolVar(&list, "list", false, "list the cases, and run none")
	f.StringVar(&progress, "progress", "", "file or device that takes the progress instead of standard error")
	hide(f, "progress")
	cmd.AddCommand(newScoreCommand())
	return cmd
}

// accuracyFlags make the request.
func accuracyFlags(f *pflag.FlagSet, a *spec.Accuracy) {
	f.StringSliceVar(&a.Cases, "cases", nil, "only the cases whose names fit one of these patterns; !PATTERN leaves out")
	wordVar(f, &a.Runner, "runner", "runners on this kernel, or in a machine of its own that QEMU runs, for LXD's virtual machine")
	f.IntVar(&a.Parallel, "parallel", a.Parallel, "how many simulated runners are at work at a time")
	f.BoolVar(&a.Resume, "resume", false, "leave out the cases that are in the directory for the runs already")
}

func listCases(cmd *cobra.Command, a spec.Accuracy) error {
	names, err := a.Selected()
	for _, name := range names {
		fmt.Fprintln(cmd.OutOrStdout(), name)
	}
	return err
}

func measure(cmd *cobra.Command, c simulate.Config, a spec.Accuracy) (err error) {
	clean, err := prepare(&c, spec.CommandAccuracy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	run := accuracy.Run
	if a.Runner == spec.Emulated && !c.InMachine {
		run = accuracy.InMachine
	}
	// What was measured before something went wrong counts as well.
	return errors.Join(run(cmd.Context(), c, a), score(cmd, c.Out, accuracy.AsRecorded))
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
	cmd.Flags().BoolVar(&again, "again", false, "diagnose the recorded runs again, with this program's rules; it tests no cause that the run did not")
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
