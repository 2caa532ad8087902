package vm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// answerWithin is how long LXD may take to take an order. An interrupt does not
// cut that short: what was ordered would not be known of.
const answerWithin = 20 * time.Second

// operate gives LXD an order that it carries out in the background, and waits for
// its end.
func operate(ctx context.Context, server Server, order func() (lxd.Operation, error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	taken, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), answerWithin, fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	op, err := Within(taken, order)
	if err != nil {
		return err
	}
	_, err = wait(ctx, server, op)
	return err
}

// wait waits for the end of an operation and returns it, and cancels it when the
// context ends first.
func wait(ctx context.Context, server Server, op lxd.Operation) (api.Operation, error) {
	ended, err := end(ctx, server, op)
	if ctx.Err() == nil {
		return ended, err
	}
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	// Not every operation can be cancelled: the clean-up waits for those.
	return ended, errors.Join(context.Cause(ctx), Do(soon, op.Cancel))
}

// lookEvery is how often an operation is looked at. LXD forgets one 5 s after its end.
var lookEvery = time.Second

// errForgotten is no NotFound: whether what was ordered came about is not known.
var errForgotten = errors.New("LXD has forgotten how it ended")

// end waits for the end of an operation and returns it. LXD tells of the end by an
// event, but not to whom it takes on as a listener just then: the client looks at the
// operation before LXD has, and waits for ever. So the operation is looked at as well.
func end(ctx context.Context, server Server, op lxd.Operation) (api.Operation, error) {
	id := op.Get().ID
	listen, cancel := context.WithCancel(ctx)
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- op.WaitContext(listen) }()
	seen, forgotten := looks(listen, server, id)
	var late <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return api.Operation{}, unanswered(ctx)
		case err := <-told:
			return outcome(ctx, op, err)
		case last := <-seen:
			return last, verdict(last)
		case <-forgotten: // the event may be on its way
			forgotten, late = nil, time.After(time.Second)
		case <-late:
			return api.Operation{}, errForgotten
		}
	}
}

// outcome is what the client says of an operation, from an event.
func outcome(ctx context.Context, op lxd.Operation, err error) (api.Operation, error) {
	switch {
	case ctx.Err() != nil:
		return api.Operation{}, unanswered(ctx)
	case api.StatusErrorCheck(err, http.StatusNotFound):
		return api.Operation{}, errForgotten
	case err != nil: // the client may still write the operation
		return api.Operation{}, err
	}
	return op.Get(), verdict(op.Get())
}

// verdict is how an ended operation ended.
func verdict(o api.Operation) error {
	if o.Err == "" && o.StatusCode == api.Cancelled {
		return errors.New("LXD has cancelled it")
	}
	if o.Err != "" {
		return errors.New(o.Err)
	}
	return nil
}

// looks looks at an operation until it has ended, and gives that; or closes the second
// channel when LXD does not know of it any more.
func looks(ctx context.Context, server Server, id string) (<-chan api.Operation, <-chan struct{}) {
	seen, forgotten := make(chan api.Operation, 1), make(chan struct{})
	look := time.NewTicker(lookEvery)
	go func() {
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			found, err := Ask(ctx, func() (*api.Operation, error) {
				o, _, err := server.GetOperation(id)
				return o, err
			})
			switch {
			case api.StatusErrorCheck(err, http.StatusNotFound):
				close(forgotten)
				return
			case err != nil: // what listens is told when LXD is gone
			case found.StatusCode.IsFinal():
				seen <- *found
				return
			}
		}
	}()
	return seen, forgotten
}
