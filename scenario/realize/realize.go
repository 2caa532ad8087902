// Package realize makes the scenarios of the catalogue on a machine: LXD instances
// and QEMU guests, with the bridges, devices and proxies that they differ in. What
// is made in LXD carries nestlab's mark; all of it goes with its place, and what a
// killed run left goes with the next start.
package realize

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/vm"
)

// Uplink is what scenarios need to know of the runner's own network.
type Uplink struct {
	// Interface is what its default route leaves by; empty where there is none.
	Interface string
	// Free are addresses of it that nobody uses, with their prefix lengths; without
	// them a guest on it has to get one by DHCP.
	Free []netip.Prefix
	// Gateway goes with them. Resolver is the runner's own.
	Gateway, Resolver netip.Addr
}

// Maker makes scenarios on one machine.
type Maker struct {
	// Connect reaches LXD.
	Connect func(ctx context.Context) (vm.Server, error)
	// Instance and Machine are guests as the baseline has them. Machine is nil where
	// QEMU guests are not available.
	Instance func(environment string) vm.Instance
	Machine  func(environment string, stockKernel bool) vm.QEMU
	// Here says that this process runs in the network of LXD's machine, and may
	// change it.
	Here bool
	// NotHere says why not, and what to do about it, where it is not so.
	NotHere string
	Uplink  Uplink
	// Retries is how often the run tries again what fails for a while.
	Retries int
	// Targets are what the places are probed against.
	Targets *targets.Set
	// Script is the URL of the convenience script.
	Script string
	// Packages are the files of Docker's package and those that it needs; Images
	// gives the files of images. Both are for a guest that has them beforehand.
	Packages []string
	Images   func(ctx context.Context) ([]string, error)
	// Daemon is how long a guest's Docker may take to answer; 0 is dind.GuestDaemon.
	Daemon time.Duration
	// Files are given to every guest that Docker is installed in: by their paths
	// there, the files here.
	Files map[string]string
	// Journal is where proxies are written down.
	Journal string
	// Progress gets what is said about things that killed runs left.
	Progress io.Writer

	once sync.Once
	left error
	// given is how many of the uplink's free addresses have a guest.
	given int
}

// Environment makes the place of a plan's row of a scenario.
func (m *Maker) Environment(row model.PlanItem) (session.Environment, error) {
	all := scenario.All()
	i := slices.IndexFunc(all, func(s scenario.Scenario) bool { return s.Name == row.Scenario })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unknown scenario %q", row.Scenario)
	case strings.HasPrefix(row.Environment, "qemu-"):
		return m.guest(all[i], row.Environment), nil
	}
	return m.container(all[i], row.Environment), nil
}

// freeAddress gives a guest a free address of the uplink for itself: the guests of a
// run live at the same time. None is left where they are too few.
func (m *Maker) freeAddress() (own netip.Prefix, left bool) {
	if m.given == len(m.Uplink.Free) {
		return netip.Prefix{}, false
	}
	m.given++
	return m.Uplink.Free[m.given-1], true
}

// staged is an environment with what has to be made before it, and taken away
// after it.
type staged struct {
	session.Environment
	// before makes it; what it returns takes it away again, also where before failed
	// half-way, and may be nil.
	before func(ctx context.Context) (after func(ctx context.Context) error, err error)

	after func(ctx context.Context) error
	begun bool
}

// Start implements session.Environment.
func (s *staged) Start(ctx context.Context, took session.Took) error {
	var err error
	if s.after, err = s.before(ctx); err != nil {
		return err
	}
	s.begun = true
	return s.Environment.Start(ctx, took)
}

// Stop implements session.Environment. What stands on a bridge goes before it.
func (s *staged) Stop(ctx context.Context) error {
	var err error
	if s.begun {
		err = s.Environment.Stop(ctx)
	}
	if s.after != nil {
		err = errors.Join(err, s.after(ctx))
	}
	return err
}

// Unwrap implements session.Wrapper.
func (s *staged) Unwrap() session.Environment { return s.Environment }

// arguments are those of the probing in a round. Docker is installed as found, and
// with a change that may help; after that it is there.
func (m *Maker) arguments(s scenario.Scenario, round string) []string {
	var args []string
	if s.Retries > 0 {
		// The later flag of the two that a place is probed with is the one that holds.
		args = append(args, "--retries", fmt.Sprint(min(m.Retries+s.Retries, model.MaxRetries)))
	}
	if len(s.Probes) > 0 {
		args = append(args, "--only", strings.Join(s.Probes, ","))
	}
	if s.Install != "" && !strings.HasPrefix(round, model.RoundReverted) {
		args = append(args, "--install", s.Install, "--install-script", m.Script, "--install-cache", cacheDir)
		if m.Daemon > 0 {
			args = append(args, "--install-ready", m.Daemon.String())
		}
	}
	return args
}

// inapplicable is why a scenario makes no sense on this machine.
func inapplicable(format string, args ...any) error {
	return session.Inapplicable{Why: fmt.Sprintf(format, args...)}
}

// short is a name of at most 15 characters, as the kernel takes for interfaces,
// for what belongs to a place.
func short(p model.Place) string {
	h := fnv.New32a()
	h.Write([]byte(p.Key()))
	return fmt.Sprintf("nl-%08x", h.Sum32())
}

// slug is a name for an instance or a directory.
func slug(p model.Place) string {
	return strings.NewReplacer("/", "-", "@", "-").Replace(p.Key())
}
