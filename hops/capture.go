package hops

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// settle is what packets under way get to be read after the last probe: one
// look at what the kernel holds for the socket already.
const settle = 50 * time.Millisecond

// Capture is a watch on the runner's interfaces. It needs CAP_NET_RAW.
type Capture struct {
	taps    []*tap
	release func() bool
}

// tap is one interface that is being read.
type tap struct {
	watched
	conn *packet.Conn
	done chan struct{}
	// counter and err belong to the reading goroutine until done is closed.
	counter *counter
	err     error
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
		// Outgoing packets are shown to sockets for all protocols only.
		conn, err := packet.Listen(w.net, packet.Datagram, unix.ETH_P_ALL, &packet.Config{Filter: program})
		if err != nil {
			errs = append(errs, fmt.Errorf("watch the packets on %s: %w", w.net.Name, err))
			continue
		}
		t := &tap{watched: w, conn: conn, done: make(chan struct{}), counter: newCounter()}
		c.taps = append(c.taps, t)
		go t.read()
	}
	if len(c.taps) == 0 {
		return nil, errors.Join(errs...)
	}
	c.release = context.AfterFunc(ctx, func() { c.deadline(time.Now()) })
	return c, errors.Join(errs...)
}

// deadline ends the reading. A socket that takes no deadline is closed already.
func (c *Capture) deadline(at time.Time) {
	for _, t := range c.taps {
		if err := t.conn.SetReadDeadline(at); err != nil {
			return
		}
	}
}

func (t *tap) read() {
	defer close(t.done)
	buffer := make([]byte, snap)
	for {
		n, _, err := t.conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case errors.Is(err, unix.ENETDOWN):
			continue // the interface went down; it may come up again
		case err != nil:
			t.err = fmt.Errorf("watch the packets on %s: %w", t.net.Name, err)
			return
		}
		if p, ok := parse(buffer[:n]); ok {
			t.counter.add(p)
		}
	}
}

// Stop ends the watch and says what was seen of a place with these addresses,
// which was probed against these targets. What could not be counted is in the
// error; the hops hold the rest.
func (c *Capture) Stop(place, targets []netip.Addr) ([]model.Hop, error) {
	c.release()
	c.deadline(time.Now().Add(settle))
	var own []netip.Addr
	for _, t := range c.taps {
		own = append(own, t.addresses...)
	}
	var all []model.Hop
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for _, t := range c.taps {
		wg.Go(func() {
			<-t.done
			err := t.end()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	for _, t := range c.taps {
		all = append(all, model.Hop{
			Interface: t.net.Name, Role: t.role,
			Place: t.counter.place(without(place, own)), Runner: t.counter.runner(own, targets),
		})
	}
	return all, errors.Join(errs...)
}

// end closes the socket, and says what it missed.
func (t *tap) end() error {
	errs := []error{t.err}
	stats, err := t.conn.Stats()
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("ask how many packets on %s were missed: %w", t.net.Name, err))
	case stats.Drops > 0 || t.counter.missed > 0:
		errs = append(errs, fmt.Errorf("%d packets on %s were not counted: there were too many at once", uint64(stats.Drops)+t.counter.missed, t.net.Name))
	}
	if err := t.conn.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the watch on %s: %w", t.net.Name, err))
	}
	return errors.Join(errs...)
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
