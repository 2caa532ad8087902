package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/faults"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// Lab is a simulated runner whose daemons run, to be broken, looked at and
// restored as often as one likes.
type Lab struct {
	*world.World
	config Config
	orders *os.File
	read   *json.Decoder
	ended  chan error
}

// Open makes the runner and starts its daemons, broken in those ways that are
// there from the start.
func Open(ctx context.Context, c Config, broken []faults.Fault, stderr io.Writer) (*Lab, error) {
	settings, err := faults.Merge(broken)
	if err != nil {
		return nil, err
	}
	l, err := launch(ctx, c, stderr)
	if err != nil {
		return nil, err
	}
	var early []faults.Fault
	for _, f := range broken {
		if f.BeforeDaemons {
			early = append(early, f)
		}
	}
	// What is broken before the daemons start goes with the runner.
	if _, err := faults.Put(ctx, l, early); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// A daemon that does not come up is for the sessions to see.
	start, err := starting(c.Request, settings)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.tell(ctx, start); err != nil {
		fmt.Fprintf(stderr, "%v\n", err)
	}
	return l, nil
}

// launch makes the world with Inside in it, which waits for orders.
func launch(ctx context.Context, c Config, stderr io.Writer) (*Lab, error) {
	if dir := c.dockerDir(); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "dockerd")); err != nil {
			return nil, fmt.Errorf("look for the Docker of %s, which the module puts there (dagger call simulate --docker-from %s): %w", c.Request.DockerFrom, c.Request.DockerFrom, err)
		}
	}
	args, err := c.insideArgs()
	if err != nil {
		return nil, err
	}
	in, orders, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to the simulated runner: %w", err)
	}
	answers, out, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe from the simulated runner: %w", errors.Join(err, in.Close(), orders.Close()))
	}
	l := &Lab{
		World: world.New(world.Config{
			State: c.State, IPv6: c.Request.IPv6, AptRepository: filepath.Join(c.Assets, "apt"), Path: c.dockerDir(),
			Images: []internet.Image{{Reference: "library/debian:bookworm", Cmd: []string{"bash"}, Archive: filepath.Join(c.Assets, "base.tar")}},
		}),
		config: c, orders: orders, read: json.NewDecoder(answers), ended: make(chan error, 1),
	}
	go func() {
		code, err := l.World.Run(ctx, args, world.Stdio{In: in, Out: out, Err: stderr})
		if err == nil && code != 0 {
			err = fmt.Errorf("the simulation ended with %d", code)
		}
		// The other ends are the runner's alone from here on: closed, they tell.
		l.ended <- errors.Join(err, in.Close(), out.Close())
	}()
	select {
	case <-l.Ready():
		return l, nil
	case err := <-l.ended:
		return nil, errors.Join(err, orders.Close())
	}
}

// tell gives an order and waits until it was carried out.
func (l *Lab) tell(ctx context.Context, o order) error {
	if err := json.NewEncoder(l.orders).Encode(o); err != nil {
		return fmt.Errorf("tell the simulated runner what to do: %w", err)
	}
	var a answer
	err := l.read.Decode(&a)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("wait for the simulated runner: %w", err)
	case a.Error != "":
		return errors.New(a.Error)
	}
	return nil
}

// Look carries one session out in the runner as it is.
func (l *Lab) Look(ctx context.Context, s Session) error { return l.tell(ctx, order{Session: &s}) }

// Close ends the daemons and the runner.
func (l *Lab) Close() error {
	return errors.Join(l.orders.Close(), <-l.ended)
}
