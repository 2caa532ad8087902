package drops

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"
)

// reader gives the events one by one.
type reader interface {
	// next returns an event, or how many were lost before it.
	next() ([]byte, uint64, error)
	// Flush makes next return what is there and then errFlushed.
	Flush() error
	Close() error
}

type ringReader struct {
	*ringbuf.Reader
	record ringbuf.Record
}

func (r *ringReader) next() ([]byte, uint64, error) {
	err := r.ReadInto(&r.record)
	return r.record.RawSample, 0, err
}

type perfReader struct {
	*perf.Reader
	record perf.Record
}

func (r *perfReader) next() ([]byte, uint64, error) {
	err := r.ReadInto(&r.record)
	return r.record.RawSample, r.record.LostSamples, err
}

func newReader(out output) (reader, error) {
	if out.perf {
		r, err := perf.NewReader(out.events, bufferSize/4) // for each CPU
		if err != nil {
			return nil, err
		}
		return &perfReader{Reader: r}, nil
	}
	r, err := ringbuf.NewReader(out.events)
	if err != nil {
		return nil, err
	}
	return &ringReader{Reader: r}, nil
}

// missed is how many events the ring buffer did not take.
func (o output) missed() (uint64, error) {
	if o.lost == nil {
		return 0, nil
	}
	var n uint64
	if err := o.lost.Lookup(uint32(0), &n); err != nil {
		return 0, fmt.Errorf("ask how many drops were lost: %w", err)
	}
	return n, nil
}

func (w *Watcher) read() {
	defer close(w.done)
	for {
		b, lost, err := w.reader.next()
		w.mu.Lock()
		switch {
		case errors.Is(err, ringbuf.ErrFlushed), errors.Is(err, perf.ErrFlushed), errors.Is(err, os.ErrClosed):
			w.mu.Unlock()
			return
		case err != nil:
			w.err = fmt.Errorf("read the kernel's drops: %w", err)
			w.mu.Unlock()
			return
		}
		w.lost += lost
		if lost == 0 {
			w.add(b, time.Now())
		}
		w.mu.Unlock()
	}
}

// add counts an event. What the program let through and is of no flow is none.
func (w *Watcher) add(b []byte, now time.Time) {
	e, err := parse(b)
	if err != nil { // the program matched what is no whole header
		w.lost++
		return
	}
	flow, reply := flowOf(w.watch.Flows, e.packet)
	if flow < 0 {
		return
	}
	d := Drop{
		Reason: w.layout.reasons.name(e.reason), Namespace: e.namespace, Interface: e.name, Index: e.index, Input: e.input,
		Tuple: e.packet.tuple, ICMPType: e.packet.kind, ICMPCode: e.packet.code, Flow: flow, Reply: reply,
	}
	at := key{d, e.location}
	c := w.seen[at]
	if c == nil {
		if len(w.seen) >= maxDrops {
			w.lost++
			return
		}
		c = &Count{Drop: d, First: now}
		w.seen[at] = c
	}
	c.Packets++
	c.Last, c.Longest = now, max(c.Longest, e.length)
}
