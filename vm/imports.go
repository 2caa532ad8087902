package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Imports are the images that a run has put into one LXD from files. Its lanes are
// started side by side: an image is imported once, and removed when the last
// instance of it has gone. The zero value is ready.
type Imports struct {
	mu  sync.Mutex
	all map[string]*fileImage
}

// fileImage is one image. Its other fields belong to whoever has the turn.
type fileImage struct {
	fingerprint string
	turn        chan struct{}
	users       int
	// ours says that nestlab has put it in, so that it is removed again.
	ours bool
}

// of is the image with the fingerprint, whether it is there or not.
func (all *Imports) of(fingerprint string) *fileImage {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.all == nil {
		all.all = map[string]*fileImage{}
	}
	if all.all[fingerprint] == nil {
		all.all[fingerprint] = &fileImage{fingerprint: fingerprint, turn: make(chan struct{}, 1)}
	}
	return all.all[fingerprint]
}

// take waits until nobody else looks for the image, imports or removes it. A turn
// that was taken ends with what is returned. One that is free is had also when no
// time is left: it is not what was waited for.
func (m *fileImage) take(ctx context.Context) (end func(), err error) {
	end = func() { <-m.turn }
	select {
	case m.turn <- struct{}{}:
		return end, nil
	default:
	}
	select {
	case m.turn <- struct{}{}:
		return end, nil
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("wait for another import of the LXD image %s", m.fingerprint), context.Cause(ctx))
	}
}
