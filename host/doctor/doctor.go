// Package doctor finds out why guests of a host as it is have no network: it puts a
// stand-in on each bridge, runs one suite there and on the host, follows the packets that
// fail, and names and proves the cause. It leaves nothing behind.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/host"
	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/host/standin"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

const (
	// probeWithin bounds the suite in one place, startWithin the start of a stand-in on a
	// bridge that speaks STP.
	probeWithin = 40 * time.Second
	startWithin = 90 * time.Second
)

// ErrNoBridge is of a bridge that was asked for and is not there.
var ErrNoBridge = errors.New("no such bridge")

// Doctor is what is asked for.
type Doctor struct {
	// Bridges are those to look at; none for all.
	Bridges []string
	// Ahead says that some of Bridges may not be there yet, for Prevent.
	Ahead   bool
	Targets *targets.Set
	// Guests is how many containers of each bridge are looked into.
	Guests int
	// Intervene proves causes by a change that is reverted.
	Intervene bool
	// Out is the directory of the run's files, Scratch one that nobody else writes to.
	Out, Scratch string
	// Journal says what is changed on this host.
	Journal string
	// Lock is how long another run that changes this host is waited for.
	Lock    time.Duration
	Version string
	// Lines gets a line for each place, Progress one for each step.
	Lines, Progress io.Writer

	networks []networks.Network
	absent   []string
	guests   []standin.Guest
}

// Look finds the bridges. What could not be asked about them is named beside.
func (d *Doctor) Look(ctx context.Context) ([]networks.Network, []error, error) {
	all, errs, err := networks.Find(ctx, networks.Options{})
	if err != nil {
		return nil, errs, err
	}
	d.absent = nil
	for _, name := range d.Bridges {
		if slices.ContainsFunc(all, func(n networks.Network) bool { return n.Bridge == name }) {
			continue
		}
		if _, err := net.InterfaceByName(name); err == nil || !d.Ahead || networks.OfDocker(name) {
			return nil, errs, fmt.Errorf("%w: %s; this host has %s", ErrNoBridge, name, names(all))
		}
		if err := checkName(name); err != nil {
			return nil, errs, err
		}
		d.absent = append(d.absent, name)
	}
	if len(d.Bridges) > 0 {
		all = slices.DeleteFunc(all, func(n networks.Network) bool { return !slices.Contains(d.Bridges, n.Bridge) })
	}
	d.networks = all
	leading := slices.DeleteFunc(slices.Clone(all), func(n networks.Network) bool { return n.Isolated || !n.Up })
	found, err := standin.Guests(leading)
	d.guests = nil
	if err != nil {
		errs = append(errs, err)
	}
	some := map[string]int{}
	for _, g := range found {
		if some[g.Bridge]++; some[g.Bridge] <= d.Guests {
			d.guests = append(d.guests, g)
		}
	}
	return all, errs, nil
}

func names(all []networks.Network) string {
	var list []string
	for _, n := range all {
		list = append(list, n.Bridge)
	}
	if len(list) == 0 {
		return "no bridge"
	}
	return strings.Join(list, ", ")
}

// Run examines the host and the bridges that Look found, and returns what came of it.
func (d *Doctor) Run(ctx context.Context) (run model.Run, err error) {
	_, _ = fmt.Fprintf(d.Lines, "looking at this host and %s\n", report.Line(names(d.networks)))
	s, err := d.session()
	if err != nil {
		return run, err
	}
	plan := model.Plan{
		Command: string(spec.CommandDoctor), Internet: d.Targets.Internet(), Targets: d.Targets.Name,
		Platform: s.Platform, Intervene: d.Intervene, Items: session.Items(s.Lanes),
	}
	for _, n := range d.networks {
		b := model.Bridge{Name: n.Bridge, Program: string(n.Kind), PortDelay: n.PortDelay.Seconds()}
		b.Lost, _ = n.Lost()
		plan.Bridges = append(plan.Bridges, b)
	}
	err = s.Write(ctx, d.Out, plan, d.Version, nil)
	file, failed := os.Open(filepath.Join(d.Out, model.RunFile))
	if failed != nil {
		return run, errors.Join(err, fmt.Errorf("read the run: %w", failed))
	}
	run, failed = report.Decode(file)
	return run, errors.Join(err, failed, file.Close())
}

func (d *Doctor) session() (*session.Session, error) {
	me, err := owner.Self("")
	if err != nil {
		return nil, err
	}
	text, err := d.Targets.Encode()
	if err != nil {
		return nil, err
	}
	s := &session.Session{
		ID: me.Run, Lanes: d.lanes(), Targets: text, Platform: facts.DetectPlatform(),
		ProbeTimeout: probeWithin, StartTimeout: startWithin, Progress: d.Progress,
		Host:        host.Here(remedy.Host{Journal: d.Journal, Owner: &me}, d.Intervene),
		LockTimeout: d.Lock, Together: true,
	}
	s.Observed = d.observed()
	return s, nil
}

// lanes are the host, then a stand-in on each bridge; those start side by side.
func (d *Doctor) lanes() [][]session.Environment {
	lanes := [][]session.Environment{{&session.Local{
		At: model.Place{Environment: model.EnvRunner}, With: []string{model.SuiteNetwork},
	}}}
	resolvers := standin.HostResolvers("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
	// A guest that asks for its address may wait for it: the others first.
	asks := func(n networks.Network) int {
		if n.DHCP {
			return 1
		}
		return 0
	}
	for _, n := range slices.SortedStableFunc(slices.Values(d.networks), func(a, b networks.Network) int { return asks(a) - asks(b) }) {
		lanes = append(lanes, []session.Environment{&standin.StandIn{Network: n, Resolvers: resolvers, Dir: d.Scratch}})
	}
	for _, g := range d.guests {
		g.Dir = d.Scratch
		lanes = append(lanes, []session.Environment{&g})
	}
	return lanes
}

// observed writes a line for each place as soon as it was probed as it is.
func (d *Doctor) observed() func(model.Entry) {
	results := map[model.Place][]model.Result{}
	return func(e model.Entry) {
		switch {
		case e.Result != nil && e.Result.Round == model.RoundBaseline:
			r := *e.Result
			results[r.Place] = append(results[r.Place], r)
			if r.Probe == model.ProbeStart {
				d.line(r.Place, "%s: %s", r.Outcome, r.Detail.Message)
			}
		case e.Watch != nil && e.Watch.Round == model.RoundBaseline:
			d.line(e.Watch.Place, "%s", tally(results[e.Watch.Place]))
		}
	}
}

// tally says how many probes of a place passed, and why the others did not.
func tally(results []model.Result) string {
	passed, total := 0, 0
	var reasons []string
	for _, r := range model.Final(results) {
		if r.Outcome == model.Skip {
			continue
		}
		total++
		if !r.Outcome.Bad() {
			passed++
		} else if !slices.Contains(reasons, string(r.Reason)) {
			reasons = append(reasons, string(r.Reason))
		}
	}
	if passed == total {
		return fmt.Sprintf("%d probes pass", total)
	}
	return fmt.Sprintf("%d of %d probes fail (%s)", total-passed, total, strings.Join(reasons, ", "))
}

func (d *Doctor) line(p model.Place, format string, args ...any) {
	name := "this host"
	if i := slices.IndexFunc(d.networks, func(n networks.Network) bool { return n.Bridge == p.Name }); i >= 0 && p.Environment == model.EnvBridge {
		name = d.networks[i].String()
	}
	if i := slices.IndexFunc(d.guests, func(g standin.Guest) bool { return g.Name == p.Name }); i >= 0 && p.Environment == model.EnvGuest {
		name = fmt.Sprintf("guest %s on %s", p.Name, d.guests[i].Bridge)
	}
	// What cannot be written is not what was asked for: the answer is.
	_, _ = fmt.Fprintf(d.Lines, "%s: %s\n", report.Line(name), report.Line(fmt.Sprintf(format, args...)))
}
