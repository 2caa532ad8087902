// Package session carries out a run: it starts environments, probes them one
// after the other, appends what it sees to the journal, and puts a suspected
// cause to the test by changing it and changing it back.
package session

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/follow"
)

// Environment is a place that the one binary can run in.
type Environment interface {
	// Place names it.
	Place() model.Place
	// Suites are the probe suites that make sense in it.
	Suites() []string
	// Start brings it up, and says how long the steps took.
	Start(ctx context.Context, took Took) error
	// Exec runs nestlab with the arguments inside and returns its exit code; an
	// error means that this could not be done or observed.
	Exec(ctx context.Context, c Command) (int, error)
	// Stop removes it. It is called once, also after a failed Start, with a
	// context that survives an interrupted run.
	Stop(ctx context.Context) error
}

// Restarter is an environment that can be restarted where it is, as a guest has
// to be that is to take another address.
type Restarter interface {
	Restart(ctx context.Context) error
}

// Argued is an environment whose probing takes arguments of its own, such as how
// Docker is to be installed, or a proxy.
type Argued interface {
	// ProbeArguments are further ones of nestlab probe in a round.
	ProbeArguments(round string) []string
}

// Offered is an environment that asked for its address by DHCP itself.
type Offered interface {
	// Offers are what servers offered, that which it took first.
	Offers() []model.DHCPOffer
}

// Wrapper is an environment around another, which may be a Restarter, an Argued or a
// Pauser as if it were there itself.
type Wrapper interface {
	// Unwrap is the one that it is around.
	Unwrap() Environment
}

// as is the environment, or one that it is around, as something that not every one is.
func as[T any](env Environment) (T, bool) {
	for {
		if t, ok := env.(T); ok {
			return t, true
		}
		w, ok := env.(Wrapper)
		if !ok {
			var none T
			return none, false
		}
		env = w.Unwrap()
	}
}

// Inapplicable is why Start did not bring an environment up that makes no sense on
// this machine: it is skipped, not in error.
type Inapplicable struct{ Why string }

func (i Inapplicable) Error() string { return i.Why }

// Command is one call of the binary inside an environment.
type Command struct {
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Took records the duration of a step of a set-up.
type Took func(step string, start time.Time, d time.Duration, note string)

// Intervener makes and reverts the one change that tests a suspected cause.
type Intervener interface {
	Apply(ctx context.Context, r model.Remedy) error
	Revert(ctx context.Context, r model.Remedy) error
}

// Chooser is an Intervener that says of which changes the effect would not show.
type Chooser interface {
	Can(r model.Remedy) error
}

// Observer reads the chains that decide about forwarded packets on the runner.
type Observer func(ctx context.Context) ([]model.ForwardChain, []string)

// Capture watches the packets on the runner's interfaces until Stop is called.
// An error beside a Stop says what could not be watched.
type Capture func(ctx context.Context) (Stop, error)

// Follow begins to follow packets of a place through the runner.
type Follow func(ctx context.Context, s follow.Subject) Follower

// Follower is what follows packets, to its Stop.
type Follower interface {
	Stop(ctx context.Context, tried []follow.Tried) model.Sightings
}

// Stop ends a capture and says what was seen of a place with these addresses
// that was probed against these targets.
type Stop func(place, targets []netip.Addr) ([]model.Hop, error)
