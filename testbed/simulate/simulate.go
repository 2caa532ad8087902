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
	"strconv"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/world"
)

// dockerDir is where the assets have the programs of a suite's Docker.
func (c Config) dockerDir() string {
	if c.Request.DockerFrom == "" {
		return ""
	}
	return filepath.Join(c.Assets, "docker", string(c.Request.DockerFrom))
}

// lxdSubnet is that of LXD's bridge.
const lxdSubnet = "10.77.0.1/24"

// The IPv6 networks of the bridges where IPv6 works: not translated, of those that the
// simulated internet routes to the runner.
const (
	lxdSubnet6    = "2001:db8:77:1::1/64"
	dockerSubnet6 = "2001:db8:77:d::/64"
)

// Config is a request with what it needs of this machine.
type Config struct {
	Request spec.Simulation
	// Assets is the directory with the images that the simulation starts from.
	Assets string
	// Out is where journal.jsonl and run.json go; State is scratch space.
	Out, State string
	Version    string
	Progress   io.Writer
	// Machine is the directory with the emulated runner's kernel and disk, InMachine says
	// that this is in it.
	Machine   string
	InMachine bool

	// ca is the file with the simulated internet's certificate authority, binary
	// the path of this program: both are known inside.
	ca, binary string
}

// insideArgs call Inside, in a process of the simulated runner: with where things are.
// What is asked for is told by the first order.
func (c Config) insideArgs() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	return []string{
		self, "simulate", "--inside", "--assets", c.Assets, "--state", c.State, "--in-machine=" + strconv.FormatBool(c.InMachine),
	}, nil
}

// machineSlowness is how many times longer than here everything may take in an emulated
// machine.
const machineSlowness = 6

// slowness is how many times longer than on usual hardware everything may take.
func (c Config) slowness() int {
	scale := max(1, c.Request.TimeoutScale)
	if c.InMachine {
		return machineSlowness * scale
	}
	return scale
}

// wait is how long something may take here.
func (c Config) wait(usual time.Duration) time.Duration {
	return usual * time.Duration(c.slowness())
}

// Inside carries the comparison out. It runs in the simulated runner, once its
// namespaces and its internet are up.
func Inside(ctx context.Context, c Config) (err error) {
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
			started = r.begin(ctx, *o.Start)
			return started
		}
		return r.look(ctx, *o.Session, started)
	})
}

// targets is the simulated target set with the simulated internet's authority.
func (c Config) targets(deadlines map[string]time.Duration) ([]byte, error) {
	set, err := targets.Builtin(targets.Simulated)
	if err != nil {
		return nil, err
	}
	for _, name := range append(model.Probes(), targets.DeadlineConnect) {
		if name == model.ProbeStart { // stands for a place, and is no probe
			continue
		}
		set.Deadlines[name] = targets.Duration(c.deadline(name, set.Deadline(name)))
	}
	for name, d := range deadlines {
		set.Deadlines[name] = targets.Duration(c.wait(d))
	}
	ca, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, fmt.Errorf("read the simulated internet's certificate authority: %w", err)
	}
	return set.WithCA(ca).Encode()
}

// probeTimeout bounds the suite in one environment.
const probeTimeout = 5 * time.Minute

// deadline is a probe's. What waits for an answer that never comes takes all of
// its time, so a connection gets less more of it than what has work to do.
func (c Config) deadline(name string, usual time.Duration) time.Duration {
	if name == targets.DeadlineConnect && c.slowness() > 1 {
		return 2 * usual
	}
	return min(c.wait(usual), targets.MaxDeadline)
}
