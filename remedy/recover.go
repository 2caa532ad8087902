package remedy

import (
	"context"
	"errors"
	"fmt"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
)

// Recover reverts what runs left applied that have ended, the last first, and lists
// it. It is for a run that keeps the host. Kept is what names no run, as a person has
// applied it, or a run of an older nestlab; and what this process has applied for good.
func (h Host) Recover(ctx context.Context) (taken, kept []model.Remedy, err error) {
	unlock, err := h.lockJournal(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := h.read()
	if err != nil {
		return nil, nil, err
	}
	for i := len(j.Applied) - 1; i >= 0; i-- {
		e := j.Applied[i]
		own := e.Owner != nil && h.Owner != nil && e.Owner.Same(*h.Owner)
		if e.Owner == nil && !h.Sole || own {
			kept = append(kept, e.Remedy)
			continue
		}
		if undone := h.recover(ctx, &j, i); undone != nil {
			err = errors.Join(err, undone)
			continue
		}
		taken = append(taken, e.Remedy)
	}
	return taken, kept, err
}

// recover reverts one entry, unless its run is not over.
func (h Host) recover(ctx context.Context, j *journal, i int) error {
	e := j.Applied[i]
	if e.Owner != nil && !h.over(e) {
		return fmt.Errorf("the remedy %s stays: it is of %s, which is not known to have ended; `nestlab remedy revert` reverts it", e.Remedy.Name, e.Owner)
	}
	if later := j.over(i); later != "" {
		return fmt.Errorf("take the remedy %s back: %s was applied later to the same thing; revert that first", e.Remedy.Name, later)
	}
	return h.undo(ctx, j, i)
}

// Over lists the entries that Recover would revert.
func (h Host) Over() ([]model.Remedy, error) {
	j, err := h.read()
	if err != nil {
		return nil, err
	}
	var over []model.Remedy
	for _, e := range j.Applied {
		if e.Owner == nil && h.Sole || e.Owner != nil && h.over(e) {
			over = append(over, e.Remedy)
		}
	}
	return over, nil
}

// over reports whether the run of an entry has ended. What is not seen to live does not
// where the host is kept: it would keep it.
func (h Host) over(e entry) bool {
	if h.Sole {
		return e.Owner.Over(true)
	}
	return e.Owner.Life() != owner.Lives
}

// Adopt makes an applied remedy one that stays until a person takes it back, also where it
// was a run's so far.
func (h Host) Adopt(ctx context.Context, r model.Remedy) (err error) {
	unlock, err := h.lockJournal(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := h.read()
	if err != nil {
		return err
	}
	i := j.find(completed(r))
	if i < 0 {
		return fmt.Errorf("keep the remedy %s: it is not applied any more", Text(r))
	}
	j.Applied[i].Owner = nil
	return h.write(j)
}
