package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// Outside makes the simulated runner, breaks it, has it looked at and restores it.
func Outside(ctx context.Context, c Config, stderr io.Writer) (err error) {
	if c.Request.Runner == spec.Emulated && !c.InMachine {
		return emulated(ctx, c, stderr)
	}
	broken, err := testbed.Find(c.Request.Faults)
	if err != nil {
		return err
	}
	l, err := Open(ctx, c, broken, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.Case(ctx, Session{Out: c.Out}, broken)
}

// Case breaks what comes and goes while the daemons run, looks, and restores. What
// was broken is written into the run at the very end, for people: what probes and
// diagnoses runs inside and is never told.
func (l *Lab) Case(ctx context.Context, s Session, broken []faults.Fault) error {
	var now []faults.Fault
	for _, f := range broken {
		if !f.AtStart() {
			now = append(now, f)
		}
	}
	restore, err := faults.Put(ctx, l, now)
	if err != nil {
		return err
	}
	err = l.Look(ctx, s)
	if failed := restore(context.WithoutCancel(ctx)); failed != nil {
		err = errors.Join(err, fmt.Errorf("restore what was broken: %w", failed))
	}
	return errors.Join(err, label(s.Out, broken))
}

// label adds to a run that is over what was broken in it.
func label(dir string, broken []faults.Fault) error {
	if len(broken) == 0 {
		return nil
	}
	var names []string
	for _, b := range broken {
		names = append(names, b.Name)
	}
	return session.Label(dir, model.Labels{Faults: names})
}
