package vm

import (
	"context"
	"fmt"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"
)

// pauseTries is how often an instance is told to halt, or to go on: a busy LXD may take
// longer to answer than is waited for.
const pauseTries = 3

// Pausable implements session.Pauser: a container has no processors of its own.
func (i *Instance) Pausable() bool { return i.VM }

// Pause implements session.Pauser.
func (i *Instance) Pause(ctx context.Context) error { return i.setState(ctx, "freeze", api.Running) }

// Resume implements session.Pauser.
func (i *Instance) Resume(ctx context.Context) error { return i.setState(ctx, "unfreeze", api.Frozen) }

// setState changes the state of an instance that has the given one; with any other it
// stays as it is.
func (i *Instance) setState(ctx context.Context, action string, given api.StatusCode) error {
	if !i.made {
		return nil
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		// What LXD is at work on may be a start, or this very order: its state shows after that.
		err := settle(ctx, i.server, func(o api.Operation) bool { return onInstance(o, i.Name) })
		if err != nil {
			return struct{}{}, err
		}
		found, err := i.known(ctx)
		if err != nil || found == nil || found.StatusCode != given {
			return struct{}{}, err
		}
		return struct{}{}, operate(ctx, i.server, func() (lxd.Operation, error) {
			return i.server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: action, Timeout: 30}, "")
		})
	}, backoff.WithBackOff(backoff.NewConstantBackOff(time.Second)), backoff.WithMaxTries(pauseTries))
	if err != nil {
		return fmt.Errorf("%s the LXD instance %s: %w", action, i.Name, err)
	}
	return nil
}
