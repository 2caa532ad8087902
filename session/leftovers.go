package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Recoverer is an Intervener that can revert what a killed run left applied.
type Recoverer interface {
	// Recover lists what it has reverted, and kept: what is applied and names no run, as
	// what a person has applied does not.
	Recover(ctx context.Context) (taken, kept []model.Remedy, err error)
}

// recover reverts what a killed run left, before anything is observed: it
// would be taken for the runner's own state. What people applied is that.
func (s *Session) recover(ctx context.Context) {
	r, ok := s.Intervene.(Recoverer)
	if !ok {
		return
	}
	defer s.pulse.Waiting("reverting what an earlier run changed")()
	ctx, cancel := context.WithTimeout(ctx, s.startLimit())
	defer cancel()
	taken, kept, err := r.Recover(ctx)
	if len(taken) > 0 {
		s.note(fmt.Errorf("an earlier run was killed while it had changed this runner; reverted before anything was observed: %s", names(taken)))
	}
	if len(kept) > 0 {
		s.note(fmt.Errorf("this runner is observed with what `nestlab remedy apply` has changed: %s; `nestlab remedy status` shows it", names(kept)))
	}
	if err != nil {
		s.note(fmt.Errorf("revert what an earlier run left; `nestlab remedy status` shows it: %w", err))
	}
}

func names(remedies []model.Remedy) string {
	var all []string
	for _, r := range remedies {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", ")
}

// sweep removes what a killed run left where environments are made. What cannot be
// removed is a note: the environments themselves say what is in their way.
func (s *Session) sweep(ctx context.Context) {
	if s.Sweep == nil {
		return
	}
	defer s.pulse.Waiting("removing what an earlier run left")()
	left, err := s.Sweep(ctx)
	if len(left) > 0 {
		s.note(fmt.Errorf("an earlier run was killed while it had made something; removed before anything was observed: %s", strings.Join(left, ", ")))
	}
	if err != nil {
		s.note(fmt.Errorf("remove what an earlier run left: %w", err))
	}
}
