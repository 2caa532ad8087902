package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/facts"
	"github.com/nestlab/nestlab/hops"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// vmRun is the host step: instances of this machine's LXD, and guests of its QEMU,
// beside the machine itself.
type vmRun struct {
	remote       vm.Remote
	guests       guests
	environments []string
	image        string
	rootfs       string
	imageServer  string
	network      string
	pool         string
	config       map[string]string
	devices      []string
	deviceKeys   map[string]map[string]string
	family       string
	scenarios    []string
	script       string
	cache        string
	free         []string
	ready        time.Duration
	start        time.Duration
	imports      *vm.Imports
	// proxies is the journal of the scenarios' proxies.
	proxies string
	owner   *owner.Owner

	targets, platform string
	retries           int
	timeout           time.Duration
	intervene         bool
	journal           string
	lockTimeout       time.Duration
	changeTimeout     time.Duration
	out               string
}

// The environments that the host step has, the control first.
var vmEnvironments = slices.Concat([]string{model.EnvRunner}, lxdEnvironments, qemuEnvironments)

var lxdEnvironments = []string{model.EnvLXDContainer, model.EnvLXDVM}

func newVMRunCommand() *cobra.Command {
	v := vmRun{imports: new(vm.Imports), proxies: scenarioJournal}
	cmd := &cobra.Command{
		Use:   "run [--image NAME] [--guest DIR] --out DIR",
		Short: "Probe instances of an LXD and guests of QEMU beside this machine, and write the run's files",
		Long: `Makes a container and a virtual machine on an LXD (with --image), and two guests
of this machine's QEMU (with --guest), puts this binary in by LXD's API and on a disk,
runs the same suite in them as on this machine (which has the package hello installed
and purged, and an image pulled and built where there is Docker), removes them again and
writes journal.jsonl and run.json. A failed probe is data, and so is a place that does
not start: the exit code is 0 whenever the run could be made and written; nestlab report
shows it, and with --check ends with 1 where something is wrong.

qemu-bridge has its tap on a bridge, which needs root; qemu-user has QEMU's user-mode
network. With these alone no LXD is asked for anything. They run under KVM where that
starts a guest, emulated otherwise.`,
		Example: `  nestlab vm run --image ubuntu/24.04 --image-server https://images.lxd.canonical.com --out out
  nestlab vm run --environments runner,lxd-container --image nestlab --out out --intervene
  nestlab vm run --environments lxd-vm --image ./metadata.tar.xz --rootfs ./disk.qcow2 --out out
  nestlab vm run --environments runner,qemu-bridge,qemu-user --guest guest --out out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return v.run(cmd) },
	}
	f := cmd.Flags()
	remoteFlags(f, &v.remote)
	v.guests.flags(f)
	v.instanceFlags(f)
	f.StringVar(&v.remote.Member, "member", "", "cluster member that the instances are put on, without this machine beside them (default LXD's choice)")
	f.StringSliceVar(&v.environments, "environments", nil, "which to run: "+strings.Join(vmEnvironments, ", ")+" (default all, QEMU's with --guest only; with --scenarios the machine alone; without the machine where LXD is another's)")
	f.StringSliceVar(&v.scenarios, "scenarios", nil, "try these in guests too: names, families or patterns of "+strings.Join(scenario.Names(), ", ")+"; !PATTERN leaves out")
	f.StringVar(&v.script, "script", "https://get.docker.com/", "URL of the script of the scenario "+scenario.ConvenienceScript)
	f.StringVar(&v.cache, "cache", "", "directory with the packages (*.deb) and images (*.tar) of the scenario "+scenario.Cached)
	f.StringSliceVar(&v.free, "free-address", nil, "addresses ADDRESS/BITS of the uplink's network that nobody has, one for each guest of the scenarios macvlan and routed")
	f.DurationVar(&v.start, "start-timeout", session.DefaultStartTimeout, "how long an instance may take to start, a download of its image included")
	f.StringVar(&v.targets, "targets", probe.TargetsLive, strings.Join(probe.BuiltinNames(), ", ")+", or a YAML file")
	f.StringVar(&v.platform, "platform", facts.PlatformAuto, "auto, "+strings.Join(probe.Platforms(), ", ")+"; decides which failures are expected")
	f.IntVar(&v.retries, "retries", 0, "how often a transient failure is tried again, 0 to 10")
	f.DurationVar(&v.timeout, "timeout", 5*time.Minute, "limit of the suite in one place")
	f.BoolVar(&v.intervene, "intervene", false, "prove a cause by changing it on this machine and changing it back (needs root)")
	f.StringVar(&v.journal, "journal", remedy.DefaultJournal, "file that says what is changed, with --intervene")
	f.DurationVar(&v.lockTimeout, "lock-timeout", 0, "how long another nestlab that changes this machine is waited for, with --intervene; 0 ends with code 3 at once")
	f.DurationVar(&v.changeTimeout, "change-timeout", session.DefaultChangeTimeout, "how long this machine may stay changed for one test, with --intervene; then the change is taken back")
	f.StringVar(&v.out, "out", "out", "directory for journal.jsonl and run.json")
	return cmd
}

func (v *vmRun) run(cmd *cobra.Command) (err error) {
	if err := v.validate(); err != nil {
		return usageError(err)
	}
	if v.platform == facts.PlatformAuto {
		v.platform = facts.DetectPlatform()
	}
	targets, err := loadTargets(v.targets)
	if err != nil {
		return usageError(err)
	}
	var text strings.Builder
	if err := targets.Write(&text); err != nil {
		return fmt.Errorf("write the targets: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	me, err := owner.Self("")
	if err != nil {
		return err
	}
	v.owner = &me
	if err := v.guests.open(self, v.ready); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, withCode(exitUnobserved, v.guests.close())) }()
	tried, skipped, err := v.scenarioLanes(self, targets, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	s := &session.Session{
		ID: me.Run, Lanes: append(v.lanes(self), tried...), Targets: []byte(text.String()), Platform: v.platform, Retries: v.retries,
		ProbeTimeout: v.timeout, StartTimeout: v.start, Progress: cmd.ErrOrStderr(), Sweep: v.sweep,
	}
	// Without the machine itself this may well run in a container beside it, where
	// its chains and packets are not to be seen.
	if v.wants(model.EnvRunner) {
		s.Observe, s.Capture = facts.ForwardChains, watchPackets
		s.Commands = remedy.Host{Journal: v.journal}.Commands
	}
	if v.intervene {
		s.Intervene, s.LockTimeout, s.ChangeTimeout = remedy.Host{Journal: v.journal, Owner: v.owner}, v.lockTimeout, v.changeTimeout
	}
	plan := model.Plan{
		Command: "vm", Internet: internetOf(targets), Targets: targets.Name, Platform: v.platform,
		Intervene: v.intervene, Items: append(session.Items(s.Lanes), skipped...),
	}
	return withCode(exitUnobserved, s.Write(cmd.Context(), v.out, plan, version, nil))
}

func (v *vmRun) validate() error {
	elsewhere := v.remote.Elsewhere()
	if len(v.environments) == 0 {
		v.environments = v.usual(elsewhere == "")
	}
	for _, e := range v.environments {
		if !slices.Contains(vmEnvironments, e) {
			return fmt.Errorf("unknown environment %q: the host step has %s", e, strings.Join(vmEnvironments, ", "))
		}
	}
	switch {
	case elsewhere != "" && v.intervene:
		return fmt.Errorf("--intervene changes this machine, and %s: run it there, at LXD's own socket", elsewhere)
	case elsewhere != "" && v.wants(model.EnvRunner):
		return fmt.Errorf("%s is this machine, and %s: leave it out of --environments, or run this there, at LXD's own socket",
			model.EnvRunner, elsewhere)
	case elsewhere != "" && v.guests.dir != "":
		return fmt.Errorf("--guest makes guests on this machine, and %s: leave it out, or run this there, at LXD's own socket", elsewhere)
	case v.intervene && !v.wants(model.EnvRunner):
		return errors.New("--intervene changes this machine, and needs runner among the environments")
	}
	if err := v.guests.validate(v.environments); err != nil {
		return err
	}
	lxd, err := v.wantsLXD()
	if err := errors.Join(err, v.validateTuning(lxd)); err != nil || !lxd {
		return err
	}
	if v.image == "" {
		return errors.New("--image is missing: name one that LXD has (lxc image list), or one of --image-server")
	}
	if v.rootfs != "" && !vm.ImageFile(v.image) {
		return errors.New("--rootfs is the second file of an image, and --image names no file: begin its path with ./ or /")
	}
	return v.remote.Validate()
}

// usual are the environments where none is named: the machine itself only where
// it is LXD's, QEMU's guests only where there is something that they boot.
func (v *vmRun) usual(here bool) []string {
	return slices.DeleteFunc(slices.Clone(vmEnvironments), func(e string) bool {
		if e == model.EnvRunner {
			return !here
		}
		return len(v.scenarios) > 0 || v.guests.dir == "" && slices.Contains(qemuEnvironments, e)
	})
}

// instances reports whether any are asked for.
func (v *vmRun) instances() bool {
	return v.wants(model.EnvLXDContainer) || v.wants(model.EnvLXDVM)
}

// sweep removes what a killed run left on the LXD, instances, of scenarios too, with
// their images, bridges and proxies, and of QEMU's guests.
func (v *vmRun) sweep(ctx context.Context) (left []string, err error) {
	if v.guests.dir != "" {
		left, err = sweepGuests(ctx, false)
	}
	lxd, failed := v.wantsLXD()
	if !lxd {
		return left, errors.Join(err, failed)
	}
	more, failed := sweepLXD(ctx, v.remote, v.proxies, false, false)
	return append(left, more...), errors.Join(err, failed)
}

func (v *vmRun) wants(environment string) bool { return slices.Contains(v.environments, environment) }

// lanes are the machine itself, then the instances, one after the other; and beside
// them QEMU's guests.
func (v *vmRun) lanes(self string) [][]session.Environment {
	var lane, guests []session.Environment
	if v.wants(model.EnvRunner) {
		lane = append(lane, &session.Local{At: model.Place{Environment: model.EnvRunner}, With: v.suites()})
	}
	for _, environment := range qemuEnvironments {
		if v.wants(environment) {
			guest := v.guests.machine(environment, false)
			guests = append(guests, &guest)
		}
	}
	for _, environment := range lxdEnvironments {
		if !v.wants(environment) {
			continue
		}
		i := v.instance(self, environment)
		lane = append(lane, &i)
	}
	return [][]session.Environment{lane, guests}
}

// suites are the machine's own.
func (v *vmRun) suites() []string {
	suites := []string{"network", "packages"}
	if v.guests.dir != "" {
		suites = append(suites, probe.SuiteMachines)
	}
	return suites
}

func (v *vmRun) connect(ctx context.Context) (vm.Server, error) {
	return v.remote.Connect(ctx, 30*time.Second)
}

// watchPackets counts packets on this machine's interfaces.
func watchPackets(ctx context.Context) (session.Stop, error) {
	c, err := hops.Start(ctx)
	if c == nil {
		return nil, err
	}
	return c.Stop, err
}
