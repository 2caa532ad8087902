package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// The part outside tells the part inside what to do, one JSON line for each
// step, and gets a line back when it is done. It is the same for every run: the
// part inside never learns what was broken.

// order is one step. Exactly one of its fields is set.
type order struct {
	// Start says what is asked for, and starts the daemons.
	Start *begin `json:"start,omitempty"`
	// Session probes and diagnoses.
	Session *Session `json:"session,omitempty"`
}

// begin is the first step.
type begin struct {
	// Request is the blind request, as package spec writes it.
	Request json.RawMessage `json:"request"`
	// Settings are what the daemons start with, on top of their usual ones.
	Settings faults.Settings `json:"settings"`
}

// starting is the step that starts a runner for a request.
func starting(s spec.Simulation, settings faults.Settings) (order, error) {
	text, err := spec.Encode(s.Blind())
	return order{Start: &begin{Request: text, Settings: settings}}, err
}

// answer ends a step; Error says what went wrong in it.
type answer struct {
	Error string `json:"error,omitempty"`
}

// Session is one look at the simulated runner.
type Session struct {
	// Out is the directory for journal.jsonl and run.json.
	Out string `json:"out"`
	// Suites are the ones to run; empty for all that make sense in a place.
	Suites []string `json:"suites,omitempty"`
	// Environments are the ones to look at; empty for all that the runner was made for.
	Environments []string `json:"environments,omitempty"`
	// Deadlines are for probes that are to be given up sooner, by their names.
	Deadlines map[string]time.Duration `json:"deadlines,omitempty"`
}

// obey carries out the steps that come in until there are no more, or ctx is
// done. What goes wrong in a step is told to whoever ordered it.
func obey(ctx context.Context, in io.Reader, out io.Writer, do func(context.Context, order) error) error {
	type step struct {
		order
		err error
	}
	steps := make(chan step)
	go func() {
		defer close(steps)
		for lines := json.NewDecoder(in); ; {
			var s step
			if s.err = lines.Decode(&s.order); errors.Is(s.err, io.EOF) {
				return
			}
			select {
			case steps <- s:
			case <-ctx.Done():
				return
			}
			if s.err != nil {
				return
			}
		}
	}()
	for {
		select {
		case s, more := <-steps:
			if !more {
				return nil
			}
			if s.err != nil {
				return fmt.Errorf("read what to do (nestlab simulate starts this part itself): %w", s.err)
			}
			var a answer
			if err := do(ctx, s.order); err != nil {
				a.Error = err.Error()
			}
			if err := json.NewEncoder(out).Encode(a); err != nil {
				return fmt.Errorf("say that it is done: %w", err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
