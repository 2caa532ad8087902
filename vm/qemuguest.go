package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm/qapi"
)

// What is done in a guest that runs, by its agent.

// boot waits until the guest agent answers, and tunes the guest.
func (q *QEMU) boot(ctx context.Context) error {
	ctx, cancel := q.alive(ctx)
	defer cancel()
	agent := Requirement{
		Description: "answer of the guest agent", Within: q.Boot, Check: q.ping, Fatal: true,
		Hint: "the guest did not boot; look at its console",
	}
	if _, err := Await(ctx, []Requirement{agent}); err != nil {
		return err
	}
	if q.Tuning == nil {
		return nil
	}
	return q.tune(ctx)
}

// await waits for the network of a guest that booted.
func (q *QEMU) await(ctx context.Context) ([]Unmet, error) {
	if q.Offline {
		return nil, nil
	}
	ctx, cancel := q.alive(ctx)
	defer cancel()
	return Await(ctx, networked(q.Patience, q.hasIPv6(), q.look))
}

// hasIPv6 reports whether it is offered IPv6: user-mode networking does always. Of a
// bridge that cannot be looked at nothing is waited for.
func (q *QEMU) hasIPv6() bool {
	if q.Bridge == "" {
		return true
	}
	on, err := ipv6On(q.Bridge)
	return err == nil && on
}

func (q *QEMU) tune(ctx context.Context) error {
	e, err := q.run(ctx, nil, q.Tuning.Arguments()...)
	if err == nil && e.Code != 0 {
		err = fmt.Errorf("nestlab %v ended with %d: %s", q.Tuning.Arguments(), e.Code, said(e))
	}
	return err
}

// ping is one try to reach the agent. A guest that is still booting never
// answers what was sent to it before its agent was there.
func (q *QEMU) ping(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Second, errors.New("it does not answer"))
	defer cancel()
	agent, err := qapi.DialAgent(ctx, filepath.Join(q.Dir, agentName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	return agent.Ping(ctx)
}

func (q *QEMU) look(ctx context.Context, resolver bool) (Sight, error) {
	var s Sight
	e, err := q.run(ctx, nil, lookArgs(resolver)...)
	if err != nil {
		return s, err
	}
	if e.Code != 0 {
		return s, fmt.Errorf("nestlab vm look ended with %d: %s", e.Code, said(e))
	}
	if err := json.Unmarshal(e.Stdout, &s); err != nil {
		return s, fmt.Errorf("nestlab vm look printed %.200q: %w", e.Stdout, err)
	}
	return s, nil
}

// said is what a command that has ended had to say, for an error.
func said(e qapi.Ended) string { return model.Clip(string(e.Stderr), model.MaxMessage) }

// run runs nestlab in the guest.
func (q *QEMU) run(ctx context.Context, stdin []byte, args ...string) (_ qapi.Ended, err error) {
	agent, err := qapi.DialAgent(ctx, filepath.Join(q.Dir, agentName))
	if err != nil {
		return qapi.Ended{}, err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	return agent.Exec(ctx, qapi.Process{
		Path: binaryPath, Args: args, Stdin: stdin,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
	})
}

// Exec implements session.Environment. What the command prints on standard output
// comes as it is printed, so that a guest that dies takes nothing of it along; the
// rest comes when it has ended.
func (q *QEMU) Exec(ctx context.Context, c session.Command) (int, error) {
	var stdin []byte
	if c.Stdin != nil {
		var err error
		if stdin, err = io.ReadAll(c.Stdin); err != nil {
			return -1, fmt.Errorf("read the input for nestlab in %s: %w", q.At, err)
		}
	}
	ctx, cancel := q.alive(ctx)
	defer cancel()
	out, err := listen(ctx, filepath.Join(q.Dir, streamName), orDiscard(c.Stdout))
	if err != nil {
		return -1, q.explain(q.ending(ctx, err))
	}
	e, err := q.run(ctx, stdin, out.sendArgs(ctx, c.Args)...)
	rest := out.close(err != nil)
	if err != nil {
		// That its output ended early goes without saying.
		return -1, q.explain(q.ending(ctx, err))
	}
	if rest != nil {
		return -1, q.explain(fmt.Errorf("read what nestlab printed: %w: %s", rest, said(e)))
	}
	if _, err := orDiscard(c.Stderr).Write(e.Stderr); err != nil {
		return -1, fmt.Errorf("hand over what nestlab printed in %s: %w", q.At, err)
	}
	return e.Code, nil
}

// endsWithin is how long a QEMU that closes its sockets may take to end, on a machine
// that is busy.
const endsWithin = 30 * time.Second

// ending adds QEMU's end to an error that it explains: that shows as a closed
// socket before it shows as an ended process.
func (q *QEMU) ending(ctx context.Context, err error) error {
	select {
	case <-q.process.done:
	case <-time.After(endsWithin):
	case <-ctx.Done():
	}
	select { // also where the context ended by that
	case <-q.process.done:
		return fmt.Errorf("%w: %w: %w", errQEMUEnded, q.process.ended(), err)
	default:
		return err
	}
}
