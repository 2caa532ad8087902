// Package simulate runs the whole comparison in the simulated runner: real
// dockerd, real LXD, real packets, with an internet of its own.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/world"
	"github.com/nestlab/nestlab/world/faults"
)

// The orders in which the daemons of the runner start.
const (
	DockerFirst = "docker-first"
	LXDFirst    = "lxd-first"
)

// Orders lists them, the hosted runner's own first.
func Orders() []string { return []string{DockerFirst, LXDFirst} }

// DockerSuites are the suites of Debian whose Docker a runner can have: releases
// 20.10, 26.1 and 28 when this was written.
func DockerSuites() []string { return []string{"bookworm", "trixie", "sid"} }

// dockerDir is where the assets have the programs of a suite's Docker.
func (c Config) dockerDir() string {
	if c.DockerFrom == "" {
		return ""
	}
	return filepath.Join(c.Assets, "docker", c.DockerFrom)
}

// Names and addresses of the simulated internet that set-ups need.
const (
	registry  = "registry.lab.test"
	baseImage = registry + "/library/debian:bookworm"
	helloRef  = registry + "/library/hello:1"
	aptSource = "deb [trusted=yes] http://archive.lab.test/debian bookworm main"
	lxdSubnet = "10.77.0.1/24"
)

// Config is what a simulation is asked for.
type Config struct {
	// Order is one of Orders.
	Order string
	// Faults are names of package faults. They stay outside.
	Faults []string
	// DockerFrom is one of DockerSuites; empty for the Docker that is installed.
	DockerFrom string
	// Environments are the ones to run, all if empty.
	Environments []string
	// Scenarios are patterns of package scenario's names; none means none. With
	// them only those environments are there beside the runner that are asked for.
	Scenarios []string
	// Assets is the directory with the images that the simulation starts from.
	Assets string
	// Out is where journal.jsonl and run.json go; State is scratch space.
	Out, State string
	// Intervene allows the change that proves a cause.
	Intervene bool
	Retries   int
	Version   string
	Progress  io.Writer
	// Runner is one of Runners; Machine is the directory with the emulated one's
	// kernel and disk.
	Runner, Machine string
	// Patience is how many times longer than on usual hardware everything may take.
	Patience int

	// ca is the file with the simulated internet's certificate authority, binary
	// the path of this program: both are known inside.
	ca, binary string
}

// insideArgs call Inside, in a process of the simulated runner.
func (c Config) insideArgs() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	args := []string{
		self, "simulate", "--inside", "--order", c.Order, "--assets", c.Assets, "--state", c.State,
		"--retries", strconv.Itoa(c.Retries), "--intervene=" + strconv.FormatBool(c.Intervene),
		"--patience", strconv.Itoa(c.Patience),
	}
	if c.DockerFrom != "" {
		args = append(args, "--docker-from", c.DockerFrom)
	}
	for _, e := range c.Environments {
		args = append(args, "--environments", e)
	}
	for _, s := range c.Scenarios {
		args = append(args, "--scenarios", s)
	}
	return args, nil
}

// wait is how long something may take here.
func (c Config) wait(usual time.Duration) time.Duration {
	return usual * time.Duration(max(1, c.Patience))
}

// Validate checks what was asked for before anything is started.
func (c Config) Validate() error {
	if !slices.Contains(Orders(), c.Order) {
		return fmt.Errorf("unknown order %q: use one of %s", c.Order, strings.Join(Orders(), ", "))
	}
	if c.DockerFrom != "" && !slices.Contains(DockerSuites(), c.DockerFrom) {
		return fmt.Errorf("no Docker is known of a suite %q: use one of %s", c.DockerFrom, strings.Join(DockerSuites(), ", "))
	}
	if c.Runner != "" {
		if err := KnownRunner(c.Runner); err != nil {
			return err
		}
	}
	for _, e := range c.Environments {
		if !slices.Contains(Environments(), e) {
			return fmt.Errorf("unknown environment %q: a simulation has %s", e, strings.Join(Environments(), ", "))
		}
	}
	chosen, err := scenario.Select(c.Scenarios)
	if err := errors.Join(err, scenario.Fit(chosen, c.Environments)); err != nil {
		return err
	}
	_, err = faults.Find(c.Faults)
	return err
}

// Environments lists what a simulation can run.
func Environments() []string {
	return []string{
		model.EnvRunner, model.EnvContainer, model.EnvDind, model.EnvDindInner,
		model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser,
	}
}

// Inside carries the comparison out. It runs in the simulated runner, once its
// namespaces and its internet are up.
func Inside(ctx context.Context, c Config) (err error) {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.ca = os.Getenv(world.CAVariable); c.ca == "" {
		return errors.New("this part runs inside a simulated runner only: call nestlab simulate without --inside")
	}
	if c.binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	r := &runner{config: c}
	defer func() { err = errors.Join(err, r.stop(ctx)) }()
	var started error
	return obey(ctx, os.Stdin, os.Stdout, func(ctx context.Context, o order) error {
		if o.Start != nil {
			r.settings = *o.Start
			started = r.start(ctx)
			return started
		}
		targets, err := c.targets(o.Session.Deadlines)
		if err != nil {
			return err
		}
		s, skipped, err := r.session(targets, *o.Session)
		if err != nil {
			return err
		}
		plan := c.plan(s)
		plan.Items = append(plan.Items, skipped...)
		return s.Write(ctx, o.Session.Out, plan, c.Version, started)
	})
}

// plan lists what the session is going to do.
func (c Config) plan(s *session.Session) model.Plan {
	return model.Plan{
		Command: "simulate", Internet: "simulated", Targets: "simulated", Platform: s.Platform,
		Order: c.Order, DockerFrom: c.DockerFrom, Intervene: c.Intervene, Items: session.Items(s.Lanes),
	}
}

// targets is the simulated target set with the simulated internet's authority.
func (c Config) targets(deadlines map[string]time.Duration) ([]byte, error) {
	set, err := probe.Builtin(probe.TargetsSimulated)
	if err != nil {
		return nil, err
	}
	for _, name := range append(model.Probes(), probe.DeadlineConnect) {
		if name == model.ProbeStart { // stands for a place, and is no probe
			continue
		}
		set.Deadlines[name] = probe.Duration(c.deadline(name, set.Deadline(name)))
	}
	for name, d := range deadlines {
		set.Deadlines[name] = probe.Duration(c.wait(d))
	}
	ca, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, fmt.Errorf("read the simulated internet's certificate authority: %w", err)
	}
	var text strings.Builder
	if err := set.WithCA(ca).Write(&text); err != nil {
		return nil, fmt.Errorf("write the targets: %w", err)
	}
	return []byte(text.String()), nil
}

// probeTimeout bounds the suite in one environment.
const probeTimeout = 5 * time.Minute

// deadline is a probe's. What waits for an answer that never comes takes all of
// its time, so a connection gets less more of it than what has work to do.
func (c Config) deadline(name string, usual time.Duration) time.Duration {
	if name == probe.DeadlineConnect && c.Patience > 1 {
		return 2 * usual
	}
	return c.wait(usual)
}
