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
var lookEvery = 2 * time.Second

// end waits for the end of an operation and returns it. LXD tells of the end by an
// event, but not to whom it takes on as a listener just then: the client looks at the
// operation before LXD has, and waits for ever. So the operation is looked at as well.
func end(ctx context.Context, server Server, op lxd.Operation) (api.Operation, error) {
	id := op.Get().ID
	listen, cancel := context.WithCancel(ctx)
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- op.WaitContext(listen) }()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-told:
			return op.Get(), err
		case <-ctx.Done():
			return api.Operation{}, unanswered(ctx)
		case <-look.C:
		}
		found, err := Ask(ctx, func() (*api.Operation, error) {
			o, _, err := server.GetOperation(id)
			return o, err
		})
		switch {
		case api.StatusErrorCheck(err, http.StatusNotFound):
			return forgotten(op, told)
		case err != nil: // what listens is told when LXD is gone
		case found.StatusCode.IsFinal() && found.Err != "":
			return *found, errors.New(found.Err)
		case found.StatusCode.IsFinal():
			return *found, nil
		}
	}
}

// forgotten is the end of an operation that LXD does not know any more, which what
// listens may have been told of at the same time.
func forgotten(op lxd.Operation, told <-chan error) (api.Operation, error) {
	select {
	case err := <-told:
		return op.Get(), err
	case <-time.After(time.Second):
		return api.Operation{}, errors.New("LXD has forgotten how it ended")
	}
}
