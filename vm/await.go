package vm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Requirement is what a guest must have before it is probed.
type Requirement struct {
	// Description names it, as in "a default route".
	Description string
	// Check is polled until it returns nil.
	Check func(ctx context.Context) error
	// Within bounds the polling.
	Within time.Duration
	// Hint says where to look when it is not met.
	Hint string
	// Fatal requirements are those without which nothing can be observed. That a
	// guest lacks one of the others is an observation.
	Fatal bool
}

// Unmet is a requirement that was not met in time.
type Unmet struct {
	Requirement
	// Why is what its last check returned.
	Why error
}

func (u Unmet) Error() string {
	return fmt.Sprintf("no %s within %s (%v): %s", u.Description, u.Within, u.Why, u.Hint)
}

func (u Unmet) Unwrap() error { return u.Why }

// pollEvery is the time between two checks.
const pollEvery = 200 * time.Millisecond

// Await polls the requirements in their order. It returns those that were not
// met, and an error at the first fatal one of them or when the context ended.
func Await(ctx context.Context, requirements []Requirement) ([]Unmet, error) {
	var unmet []Unmet
	for _, r := range requirements {
		why := r.poll(ctx)
		if ctx.Err() != nil {
			return unmet, fmt.Errorf("wait for %s: %w", r.Description, context.Cause(ctx))
		}
		if why == nil {
			continue
		}
		u := Unmet{Requirement: r, Why: why}
		if r.Fatal {
			return unmet, u
		}
		unmet = append(unmet, u)
	}
	return unmet, nil
}

// poll returns why the last whole check failed, or nil.
func (r Requirement) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := r.Check(ctx)
		// What the deadline cut off says less than what was seen before.
		if err != nil && (last == nil || ctx.Err() == nil) {
			last = err
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(r.Within))
	if err == nil {
		return nil
	}
	return last
}

// lacks lists what a guest does not have, for the note beside its start.
func lacks(unmet []Unmet) string {
	var all []string
	for _, u := range unmet {
		all = append(all, u.Error())
	}
	return strings.Join(all, "; ")
}
