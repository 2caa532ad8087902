package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/host/doctor"
	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

// exitUndetermined is of a doctor who saw that something fails, and not why.
const exitUndetermined = 4

type doctorFlags struct {
	doctor.Doctor
	set         string
	noIntervene bool
	fix         bool
	persist     bool
	json        bool
	actions     bool
	failOn      failOn
	verbose     bool
	watch       bool
	interval    time.Duration
}

func newDoctorCommand() *cobra.Command {
	d := doctorFlags{Doctor: doctor.Doctor{Version: version}, failOn: failOnAny}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why guests of this host have no network, and what fixes it",
		Long: `Looks at each bridge of this host that guests are on (Docker, LXD, Incus, libvirt,
podman, Multipass, CNI, plain ones): puts a stand-in on it for a moment, a network
namespace that is a guest to the host, and looks into a container there, runs the same probes there as on the host,
follows the packets that fail to where they end, and proves the cause by changing just
that and changing it back. It leaves nothing behind, and changes nothing in guests.

Exit codes: 0 all is well, 1 a cause was found, 2 wrong use, 3 it could not look
(it needs root), 4 something fails and no cause is known.`,
		Example: `  sudo nestlab doctor
  sudo nestlab doctor --bridge virbr0 --no-intervene
  sudo nestlab doctor --fix --persist
  sudo nestlab doctor --watch
  sudo nestlab doctor --json | jq -r .diagnosis.cause`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&d.Bridges, "bridge", nil, "bridges to look at (default all)")
	f.IntVar(&d.Guests, "guests", 1, "how many containers of each bridge are looked into; nothing is changed in them")
	f.StringVar(&d.set, "targets", targets.Doctor, strings.Join(targets.Names(), ", ")+", or a YAML file")
	f.BoolVar(&d.noIntervene, "no-intervene", false, "change nothing for a moment: a cause is named, and not proven")
	f.BoolVar(&d.fix, "fix", false, "apply the fixes, look again, and revert what did not help")
	f.BoolVar(&d.Ahead, "prevent", false, "with --fix: accept these bridges in Docker's DOCKER-USER as well where nothing fails yet, also bridges that are not there yet")
	f.BoolVar(&d.persist, "persist", false, "with --fix: have what was applied last, by a systemd service")
	f.BoolVar(&d.json, "json", false, "write the run as JSON, and nothing else, to standard output")
	f.BoolVar(&d.actions, "actions", false, "write the outputs, the job summary and the annotations of GitHub Actions too")
	wordVar(f, &d.failOn, "fail-on", "what ends with an exit code of 1 or 4")
	f.BoolVarP(&d.verbose, "verbose", "v", false, "say each step, and what was ruled out")
	f.BoolVar(&d.watch, "watch", false, "go on looking until interrupted, and tell when something else fails, or by something else")
	f.DurationVar(&d.interval, "interval", 15*time.Second, "with --watch: the time between two looks")
	f.StringVar(&d.Out, "out", "", "directory for journal.jsonl and run.json (default none is kept)")
	f.StringVar(&d.Journal, "journal", remedy.DefaultJournal, "file that says what is changed")
	f.DurationVar(&d.Lock, "lock-timeout", 0, "how long another nestlab that changes this machine is waited for; 0 ends with code 3 at once")
	cmd.AddCommand(newDoctorGuardCommand())
	return cmd
}

// newDoctorGuardCommand is what reverts what a killed doctor could not.
func newDoctorGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use: "guard", Short: "Wait for the end of a doctor, told on standard input", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return doctor.Watch(cmd.Context(), cmd.InOrStdin()) },
	}
}

// prepare checks what is asked for before anything is looked at, and says where lines go.
func (d *doctorFlags) prepare(cmd *cobra.Command) (err error) {
	if d.Targets, err = loadTargets(d.set); err != nil {
		return usageError(err)
	}
	if !slices.Contains(d.failOn.Values(), d.failOn) {
		return usageError(fmt.Errorf("--fail-on %s: give %s", d.failOn, spec.List(d.failOn.Values())))
	}
	if d.Ahead && !d.fix {
		return usageError(errors.New("--prevent changes this host, and does so with --fix alone: add --fix"))
	}
	if err := d.mayWatch(cmd.Flags().Changed("interval")); err != nil {
		return usageError(err)
	}
	if d.persist {
		if !d.fix {
			return usageError(errors.New("--persist has what --fix applies last: give both"))
		}
		if err := mayPersist(cmd, &remedy.Host{Journal: d.Journal}, false); err != nil {
			return err
		}
	}
	d.Intervene, d.Lines, d.Progress = !d.noIntervene, cmd.OutOrStdout(), io.Discard
	if d.json {
		d.Lines = cmd.ErrOrStderr()
	}
	if d.verbose {
		d.Progress = cmd.ErrOrStderr()
	}
	d.hurryLess()
	return nil
}

func (d *doctorFlags) run(cmd *cobra.Command) (err error) {
	if err := d.prepare(cmd); err != nil {
		return err
	}
	found, notes, err := d.Look(cmd.Context())
	if errors.Is(err, doctor.ErrNoBridge) {
		return usageError(err)
	}
	if err != nil {
		return withCode(exitUnobserved, err)
	}
	for _, n := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", report.Line(n.Error()))
	}
	if os.Geteuid() != 0 {
		return withCode(exitUnobserved, fmt.Errorf("it needs root to put a stand-in on %s and to see the firewall: sudo nestlab doctor", bridges(found)))
	}
	if d.Scratch, err = os.MkdirTemp("", "nestlab-doctor-"); err != nil {
		return fmt.Errorf("make a directory for the run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.Scratch)) }()
	d.Out = cmp.Or(d.Out, d.Scratch)
	release, err := d.Guard()
	if err != nil {
		return withCode(exitUnobserved, err)
	}
	defer func() { err = errors.Join(err, release()) }()
	run, err := d.examine(cmd)
	if err != nil {
		return err
	}
	if d.watch {
		return d.watched(cmd, run)
	}
	t := told{found: run, now: run}
	if d.Ahead {
		if err := d.prevent(cmd, &t); err != nil {
			return err
		}
	}
	if d.fix && t.now.Diagnosis.Verdict == model.CauseFound {
		t.now, t.fixed, err = d.apply(cmd, d, t.now)
	}
	if d.persist {
		err = errors.Join(err, d.last(cmd))
	}
	if err != nil {
		return err
	}
	return d.end(cmd, t)
}

// prevent accepts the bridges in DOCKER-USER, and looks again where something failed.
func (d *doctorFlags) prevent(cmd *cobra.Command, t *told) (err error) {
	t.accepted, err = d.Prevent(cmd.Context())
	for _, r := range t.accepted {
		_, _ = fmt.Fprintf(d.Lines, "applied: %s, until the firewall or the machine restarts; revert it: nestlab remedy revert %s\n", remedy.Text(r), r.Name)
	}
	if err != nil {
		return withCode(exitUnobserved, fmt.Errorf("accept bridges in DOCKER-USER: %w", err))
	}
	if len(t.accepted) > 0 && t.found.Diagnosis.Verdict != model.Healthy {
		t.now, err = d.examine(cmd)
	}
	return err
}

// failOn is what a doctor fails for.
type failOn string

// What a doctor can fail for.
const (
	failOnAny   failOn = "any"   // a cause, or something that no cause is known for
	failOnCause failOn = "cause" // a cause
	failOnNever failOn = "never"
)

// Values lists them.
func (failOn) Values() []failOn { return []failOn{failOnAny, failOnCause, failOnNever} }

// end tells what came of the last run, and the error that this program ends with.
func (d *doctorFlags) end(cmd *cobra.Command, t told) error {
	run := t.now
	if d.json {
		if err := report.Encode(cmd.OutOrStdout(), run); err != nil {
			return err
		}
	}
	if d.actions {
		if err := writeActions(d.Lines, t); err != nil {
			return withCode(exitUnobserved, err)
		}
	}
	err := verdict(run.Diagnosis)
	if d.failOn == failOnNever || d.failOn == failOnCause && run.Diagnosis.Verdict != model.CauseFound {
		return nil
	}
	return err
}

// examine carries one run out, and shows it.
func (d *doctorFlags) examine(cmd *cobra.Command) (model.Run, error) {
	begin := time.Now()
	run, err := d.Run(cmd.Context())
	if err != nil {
		return run, withCode(exitUnobserved, err)
	}
	if d.json {
		return run, nil
	}
	return run, d.write(cmd, run, time.Since(begin))
}

// bridges names what was found, for who may only look at that.
func bridges(all []networks.Network) string {
	var names []string
	for _, n := range all {
		names = append(names, n.String())
	}
	return cmp.Or(strings.Join(names, ", "), "bridges, of which there is none")
}

// write shows what came of it.
func (d *doctorFlags) write(cmd *cobra.Command, run model.Run, took time.Duration) error {
	out := cmd.OutOrStdout()
	f, err := report.FindFormat("diagnosis")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	if err := f.Show(out, run, styleOf(out, d.verbose)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nIt took %.1f s.\n", took.Seconds())
	return err
}

// verdict is the error that a diagnosis ends this program with.
func verdict(d model.Diagnosis) error {
	switch d.Verdict {
	case model.Healthy:
		return nil
	case model.CauseFound:
		return withCode(exitBad, fmt.Errorf("the cause is %s", d.Cause))
	}
	return withCode(exitUndetermined, errors.New("something fails, and no cause is known"))
}
