package remedy

import (
	"context"
	"time"

	"github.com/nestlab/nestlab/model"
)

// RestoreOne is restoreOne.
func (h Host) RestoreOne(ctx context.Context, file string, r model.Remedy) (*model.Remedy, error) {
	return h.restoreOne(ctx, file, r)
}

// WithReached gives a host that tells each point of a change as it is reached.
func (h Host) WithReached(f func(point string)) Host {
	h.reached = f
	return h
}

// SetLookWithin changes how long a look at the host may take, and gives the way back.
func SetLookWithin(d time.Duration) (back func()) {
	former := lookWithin
	lookWithin = d
	return func() { lookWithin = former }
}
