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
		st := Status{Remedy: e.Remedy, Since: e.Since, Owner: e.Owner, Steps: len(e.Steps)}
		for i := range e.Steps {
			s, err := e.Steps[i].step()
			if err != nil {
				return nil, err
			}
			there, err := s.in(ctx)
			switch {
			case err != nil:
				return nil, fmt.Errorf("look whether the remedy %s is in place: %s: %w", e.Remedy.Name, s, err)
			case there:
				st.InPlace++
			default:
				st.Missing = append(st.Missing, s.String())
			}
		}
		all = append(all, st)
	}
	return all, nil
}
