// Package world makes the simulated runner and its internet on a Linux machine
// with root: network, process, mount and cgroup namespaces, and nothing in the
// machine's own ones but a cgroup for each hierarchy and a state directory. All
// of it goes on every way out; what a killed run left is removed by the next.
package world

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// Prefix begins the names of everything that a world makes outside of its namespaces.
const Prefix = "nestlab-world-"

// runName is what newName makes: nothing else is ever swept away.
var runName = regexp.MustCompile(`^` + Prefix + `[0-9]+-[0-9a-f]{8}$`)

// Config says what kind of world to make. The zero value is a good one.
type Config struct {
	// State is the directory in which the world makes its own one for what the
	// runner's daemons store; empty stands for the system's temporary directory.
	// It must not be on overlayfs if Docker is to use overlay2.
	State string
	// Keep leaves that directory behind.
	Keep bool
	// Images are put into the registry, which always has internet.Hello.
	Images []internet.Image
	// AptRepository is a directory to serve as http://archive.lab.test/debian; empty for none.
	AptRepository string
	// Path is a directory whose programs are found before the runner's own; empty for none.
	Path string
	// SingleStack leaves the IPv6 addresses out of DNS. They lead nowhere, as
	// on hosted runners.
	SingleStack bool
	// IPv6 gives the runner and its internet IPv6 that works: what the runner routes to
	// it for guests, its networks in Guests6, is answered without translation.
	IPv6 bool
	// Log gets one JSON line for each request to the simulated internet; nil for none.
	Log io.Writer
	// Executable is the nestlab binary to start the world's own processes from;
	// empty stands for the running one.
	Executable string
}

// Stdio are the streams of a command; nil ones are empty.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// World is one simulated runner with its internet. Use New.
type World struct {
	config Config
	name   string
	ready  chan struct{}

	mu     sync.Mutex
	runner *runner // nil before it is ready and after its end
	lab    *lab    // nil before the internet is ready and after its end
}

// New describes a world; Run makes it.
func New(c Config) *World {
	return &World{config: c, ready: make(chan struct{})}
}

// Ready is closed once the runner has started its command: from then on Exec works.
func (w *World) Ready() <-chan struct{} { return w.ready }

// Run makes the world, runs the command in the runner to its end and removes
// the world, whatever happens. When ctx is done the command gets SIGTERM and
// ten seconds. The exit code is the command's, 128 + N after signal N; an error
// means that the world could not be made, kept or removed. A world runs once.
func (w *World) Run(ctx context.Context, command []string, stdio Stdio) (code int, err error) {
	if len(command) == 0 {
		return 0, errors.New("run in the simulated runner: no command given")
	}
	if os.Geteuid() != 0 {
		return 0, errors.New("the simulated runner needs root, for its namespaces: run it with sudo")
	}
	if w.name, err = newName(); err != nil {
		return 0, err
	}
	undo := func(f func() error) { err = errors.Join(err, f()) }

	state, err := newState(w.config.State, w.name)
	if err != nil {
		return 0, err
	}
	defer undo(func() error { return state.close(w.config.Keep) })
	groups, err := cgroup.New(w.name, runName)
	if err != nil {
		return 0, err
	}
	defer undo(groups.Remove)
	network, err := newNetwork(w.config.IPv6)
	if err != nil {
		return 0, err
	}
	defer undo(network.close)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	servers, err := w.startInternet(ctx, state, network)
	if err != nil {
		return 0, err
	}
	defer undo(servers.stop)
	go func() {
		<-servers.done
		cancel(fmt.Errorf("the simulated internet ended: %w", servers.failure()))
	}()
	w.setLab(&lab{network: network, wire: servers.wire})
	defer w.setLab(nil)
	return w.runRunner(ctx, command, stdio, state, groups, network)
}

// newName is unique among the runs of a machine; the process id is for people.
func newName() (string, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("draw the run's name: %w", err)
	}
	return fmt.Sprintf("%s%d-%s", Prefix, os.Getpid(), hex.EncodeToString(random[:])), nil
}

func (w *World) executable() (string, error) {
	if w.config.Executable != "" {
		return filepath.Abs(w.config.Executable)
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the own executable: %w", err)
	}
	return path, nil
}

func (w *World) setRunner(r *runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runner = r
}

func (w *World) getRunner() (*runner, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runner == nil {
		return nil, errors.New("the simulated runner is not running")
	}
	return w.runner, nil
}
