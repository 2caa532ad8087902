//go:build e2e

// Package real holds tests of the virtual machines that need what most machines
// do not have: a real LXD and a real QEMU. They run in the simulated runner, where
// e2e takes them:
//
//	nestlab testbed run -- /path/of/real.test -test.v
package real

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nestlab/nestlab/vm"
)

var (
	binary = flag.String("nestlab", "/usr/local/bin/nestlab", "the one binary")
	assets = flag.String("assets", "/opt/nestlab", "directory with lxd.tar and guest")
	points = flag.Int("points", 4, "how many moments to interrupt and to kill at, each; a few for every day, many to look for more")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "draws the moments")

	// moments draws them; scratch is the tests' own directory.
	moments *rand.Rand
	scratch string
	daemon  *vm.Daemon
)

const (
	socket = "/var/lib/lxd/unix.socket"
	alias  = "nestlab"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && filepath.Base(os.Args[0]) == hostileName {
		os.Exit(play(func(context.Context) error { return hostileMain(os.Args[1:]) }))
	}
	if len(os.Args) > 1 {
		roles := map[string]func(context.Context) error{
			guestRole:   func(ctx context.Context) error { return guestMain(ctx, os.Args[2:]) },
			hostileRole: func(ctx context.Context) error { return hostileRun(ctx, os.Args[2:]) },
			serveRole:   serveMain, lendRole: lendMain,
		}
		if role := roles[os.Args[1]]; role != nil {
			os.Exit(play(role))
		}
	}
	flag.Parse()
	fmt.Printf("to draw the same moments again: -seed %d\n", *seed)
	moments = rand.New(rand.NewPCG(*seed, 0))
	code, err := prepared(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare the real LXD:", err)
		code = 1
	}
	os.Exit(code)
}

func play(role func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := role(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func prepared(m *testing.M) (int, error) {
	var err error
	if scratch, err = os.MkdirTemp("", "real-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	daemon = &vm.Daemon{
		Socket: socket, Dir: filepath.Join(scratch, "lxd"), Image: filepath.Join(*assets, "lxd.tar"), Alias: alias, Subnet: "10.77.0.1/24",
	}
	if err := daemon.Start(context.Background()); err != nil {
		return 0, err
	}
	// What a first run makes for good, such as LXD's own directories, is there then.
	out, err := exec.Command(*binary, vmRun(filepath.Join(scratch, "first"), "--image", alias)...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("a first run: %w\n%s", err, out)
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return code, daemon.Stop(ctx)
}

// targets are few, so that a run is short; the echo takes its two seconds in vain.
const targets = `version: 1
name: few
deadlines: {icmp-echo: 2s, connect: 2s, dns-a: 2s, dns-aaaa: 2s}
dns: [archive.lab.test, registry.lab.test]
tcp: ["archive.lab.test:80", "registry.lab.test:443"]
icmp: [archive.lab.test]
`

// vmTargets is a file with them.
func vmTargets() string {
	file := filepath.Join(scratch, "targets.yaml")
	if err := os.WriteFile(file, []byte(targets), 0o644); err != nil {
		panic(err)
	}
	return file
}

// vmRun are the arguments of a run of an LXD container with its results in out.
func vmRun(out string, more ...string) []string {
	return append([]string{
		"vm", "run", "--lxd", socket, "--environments", "lxd-container", "--targets", vmTargets(), "--platform", "simulated", "--out", out,
	}, more...)
}
