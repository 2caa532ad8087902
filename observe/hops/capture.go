package hops

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/tap"
)

// Capture is a watch on the runner's interfaces. It needs CAP_NET_RAW.
type Capture struct {
	watched []*counted
	taps    []*tap.Tap
}

// counted is one interface that is being read. The counter belongs to the reading
// goroutine until the tap is closed.
type counted struct {
	watched
	counter *counter
}

// Start watches the interfaces of the network namespace that it is called in,
// one goroutine for each, until Stop is called or ctx ends. Interfaces that
// cannot be watched are in the error; the others are watched all the same, and
// the capture is nil only where there is none.
func Start(ctx context.Context) (*Capture, error) {
	list, err := interfaces()
	if err != nil {
		return nil, err
	}
	program, err := filter()
	if err != nil {
		return nil, err
	}
	c := &Capture{}
	var errs []error
	for _, w := range list {
		one := &counted{watched: w, counter: newCounter()}
		opened, err := tap.Open(ctx, w.net, program, snap, func(b []byte) {
			if p, ok := parse(b); ok {
				one.counter.add(p)
			}
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.watched, c.taps = append(c.watched, one), append(c.taps, opened)
	}
	if len(c.taps) == 0 {
		return nil, errors.Join(errs...)
	}
	return c, errors.Join(errs...)
}

// Stop ends the watch and says what was seen of a place with these addresses,
// which was probed against these targets. What could not be counted is in the
// error; the hops hold the rest.
func (c *Capture) Stop(place, targets []netip.Addr) ([]model.Hop, error) {
	missed, err := tap.CloseAll(c.taps)
	errs := []error{err}
	var own []netip.Addr
	for _, w := range c.watched {
		own = append(own, w.addresses...)
	}
	var all []model.Hop
	for i, w := range c.watched {
		if n := missed[i] + w.counter.missed; n > 0 {
			errs = append(errs, fmt.Errorf("%d packets on %s were not counted: there were too many at once", n, w.net.Name))
		}
		all = append(all, model.Hop{
			Interface: w.net.Name, Role: w.role,
			Place: w.counter.place(without(place, own)), Runner: w.counter.runner(own, targets),
		})
	}
	return all, errors.Join(errs...)
}

// without leaves the runner's own addresses out: the runner is a place too.
func without(place, own []netip.Addr) []netip.Addr {
	var rest []netip.Addr
	for _, a := range place {
		if !slices.Contains(own, a) {
			rest = append(rest, a)
		}
	}
	return rest
}
