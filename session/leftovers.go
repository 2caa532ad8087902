package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Recoverer is an Intervener that can take back what a killed run left applied.
type Recoverer interface {
	// RevertAll lists what it has taken back.
	RevertAll(ctx context.Context) ([]model.Remedy, error)
}

// recover takes back what a killed run left, before anything is observed: it
// would be taken for the runner's own state.
func (s *Session) recover(ctx context.Context) {
	r, ok := s.Intervene.(Recoverer)
	if !ok {
		return
	}
	defer s.pulse.Waiting("taking back what an earlier run changed")()
	left, err := r.RevertAll(ctx)
	if len(left) > 0 {
		var names []string
		for _, l := range left {
			names = append(names, l.Name)
		}
		s.note(fmt.Errorf("an earlier run was killed while it had changed this runner; taken back before anything was observed: %s", strings.Join(names, ", ")))
	}
	if err != nil {
		s.note(fmt.Errorf("take back what an earlier run left; `nestlab remedy status` shows it: %w", err))
	}
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
