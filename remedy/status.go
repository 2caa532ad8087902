package remedy

import (
	"context"
	"fmt"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
)

// Status is a remedy of the journal and what there is of it.
type Status struct {
	Remedy model.Remedy
	Since  time.Time
	// Owner is the run that has applied it; nil for a person, or a run of an older nestlab.
	Owner *owner.Owner
	// InPlace and Steps say how many of its changes are still as it made them.
	InPlace, Steps int
	// Missing names those that are not.
	Missing []string
}

// Status says what there is of each remedy of the journal.
func (h Host) Status(ctx context.Context) ([]Status, error) {
	j, err := h.read()
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, e := range j.Applied {
		st, err := e.status(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

func (e entry) status(ctx context.Context) (Status, error) {
	st := Status{Remedy: e.Remedy, Since: e.Since, Owner: e.Owner, Steps: len(e.Steps)}
	for i := range e.Steps {
		s, err := e.Steps[i].step()
		if err != nil {
			return st, err
		}
		there, err := s.in(ctx)
		switch {
		case err != nil:
			return st, fmt.Errorf("look whether the remedy %s is in place: %s: %w", e.Remedy.Name, s, err)
		case there:
			st.InPlace++
		default:
			st.Missing = append(st.Missing, s.String())
		}
	}
	return st, nil
}

// inPlace reports whether a remedy is in the journal, and whether all of its changes are there.
func (h Host) inPlace(ctx context.Context, r model.Remedy) (journaled, whole bool, err error) {
	j, err := h.read()
	if err != nil {
		return false, false, err
	}
	i := j.find(completed(r))
	if i < 0 {
		return false, false, nil
	}
	st, err := j.Applied[i].status(ctx)
	return true, len(st.Missing) == 0, err
}

// Ensure applies a remedy, also where the journal has it and something of it is gone, as
// after a restart of the machine or of a firewall. It reports whether it did; false where
// all of it was there.
func (h Host) Ensure(ctx context.Context, r model.Remedy) (bool, error) {
	journaled, whole, err := h.inPlace(ctx, r)
	switch {
	case err != nil:
		return false, err
	case journaled && whole:
		return false, nil
	case journaled: // what is left of it
		if err := h.Revert(ctx, r); err != nil {
			return false, err
		}
	}
	err = h.Apply(ctx, r)
	return err == nil, err
}
