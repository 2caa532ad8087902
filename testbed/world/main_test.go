package world_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "draws the moments of kills and interrupts")

// The test binary plays every part: the tests, the world's own processes, the
// runtime shim, a process that makes a world and what looks around in a runner.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == world.RuntimeShimName {
		os.Exit(world.RuntimeShimMain(os.Args[1:]))
	}
	parts := map[string]func(context.Context, []string) error{
		"world":  func(ctx context.Context, args []string) error { return world.ChildMain(ctx, args[1:]) }, // world child ROLE
		"maker":  makeWorld,
		"look":   look,
		"orphan": orphan,
	}
	if len(os.Args) > 1 {
		if part, found := parts[os.Args[1]]; found {
			os.Exit(play(part))
		}
	}
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func play(part func(context.Context, []string) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := part(ctx, os.Args[2:])
	var code exitCode
	switch {
	case errors.As(err, &code):
		return int(code)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return 0
}

// exitCode is a command's end that is passed on.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// makeWorld runs a command in a world: `maker STATE COMMAND...`.
func makeWorld(ctx context.Context, args []string) error {
	w := world.New(world.Config{State: args[0]})
	code, err := w.Run(ctx, args[1:], world.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

// look tells what it sees as JSON: `look ADDRESS...`.
func look(ctx context.Context, _ []string) error {
	v, err := newView(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// orphan leaves a grandchild to the runner's init and says how many processes
// without a parent are unreaped once it has ended.
func orphan(ctx context.Context, args []string) error { return leaveOrphan(ctx, args) }
