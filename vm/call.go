package vm

import (
	"context"
	"fmt"
	"time"
)

// Within makes a call of LXD's client, which knows no context, end with one: its
// error is then the context's cause. What the call does after that concerns nobody.
func Within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := call()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, unanswered(ctx)
	}
}

// Do is Within for a call that gives an error only.
func Do(ctx context.Context, call func() error) error {
	_, err := Within(ctx, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// askAgain is how long the answer to a question may take until it is asked again:
// a connection on the way to LXD may be lost with the question on it.
var askAgain = 20 * time.Second

// Ask is Within for a call that changes nothing, and so may be made again, on
// another connection, while the context lasts. The first answer counts: one that is
// only slow is not lost.
func Ask[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers, enough := make(chan answer), make(chan struct{})
	defer close(enough)
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		go func() {
			value, err := call()
			select {
			case answers <- answer{value, err}:
			case <-enough:
			}
		}()
		select {
		case a := <-answers:
			return a.value, a.err
		case <-ctx.Done():
			var none T
			return none, unanswered(ctx)
		case <-again.C:
		}
	}
}

func unanswered(ctx context.Context) error {
	return fmt.Errorf("LXD does not answer: %w; `lxc query /1.0` on its own machine tells whether it or the way to it hangs", context.Cause(ctx))
}
