// Package tap reads the packets of interfaces through packet sockets with a filter
// in the kernel. It needs CAP_NET_RAW.
package tap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// settle is what packets under way get to be read at the end: one look at what the
// kernel holds for the socket already.
const settle = 50 * time.Millisecond

// Handler takes a packet from its network header on, as far as the filter lets it
// be. It may keep no part of it. Handlers of one tap run one after the other.
type Handler func(packet []byte)

// Tap reads one interface.
type Tap struct {
	name    string
	conn    *packet.Conn
	done    chan struct{}
	release func() bool
	err     error // of the reading goroutine until done is closed
}

// Open reads an interface until Close is called or ctx ends. The filter sees
// packets from their network header on and says how many bytes are kept of each,
// at most snap.
func Open(ctx context.Context, on *net.Interface, filter []bpf.RawInstruction, snap int, handle Handler) (*Tap, error) {
	// Outgoing packets are shown to sockets for all protocols only.
	conn, err := packet.Listen(on, packet.Datagram, unix.ETH_P_ALL, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("watch the packets on %s: %w", on.Name, err)
	}
	t := &Tap{name: on.Name, conn: conn, done: make(chan struct{})}
	go t.read(snap, handle)
	t.release = context.AfterFunc(ctx, func() { t.deadline(time.Now()) })
	return t, nil
}

// deadline ends the reading. A socket that takes no deadline is closed already.
func (t *Tap) deadline(at time.Time) {
	if err := t.conn.SetReadDeadline(at); err != nil {
		return
	}
}

func (t *Tap) read(snap int, handle Handler) {
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
			t.err = fmt.Errorf("watch the packets on %s: %w", t.name, err)
			return
		}
		handle(buffer[:n])
	}
}

// Close ends the reading; no handler runs after it. It returns how many packets
// the filter let through and nobody read.
func (t *Tap) Close() (uint64, error) {
	t.release()
	t.deadline(time.Now().Add(settle))
	<-t.done
	errs := []error{t.err}
	stats, err := t.conn.Stats()
	if err != nil {
		errs = append(errs, fmt.Errorf("ask how many packets on %s were missed: %w", t.name, err))
		stats = &packet.Stats{}
	}
	if err := t.conn.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the watch on %s: %w", t.name, err))
	}
	return uint64(stats.Drops), errors.Join(errs...)
}

// CloseAll closes taps at once, and returns what each missed.
func CloseAll(taps []*Tap) ([]uint64, error) {
	missed, errs := make([]uint64, len(taps)), make([]error, len(taps))
	var wg sync.WaitGroup
	for i, t := range taps {
		wg.Go(func() { missed[i], errs[i] = t.Close() })
	}
	wg.Wait()
	return missed, errors.Join(errs...)
}
