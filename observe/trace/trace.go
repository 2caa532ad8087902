// Package trace follows packets of given flows through the firewall, in the words
// of the kernel's nf_tables trace: which rule or policy of which chain met them, on
// every hook and in every family, for rules of nft and of iptables-nft, and with one
// path through NAT. It reads netlink and needs no program.
//
// A tracer has a table of its own, first on every hook that packets come in by, with
// rules that start the trace of the flows' packets, up to a rate. Chains of the
// table that come last on each hook show how far a packet got. The kernel removes
// the table with the process (Linux 5.12); before that Sweep does.
//
// It does not see iptables-legacy, nor what the kernel drops elsewhere: such a
// packet's path is Unfinished. It needs CAP_NET_ADMIN.
package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// Source names this source of sightings where it is unavailable.
const Source = "nf_tables trace"

// Options bound the cost of a trace; zero values stand for the defaults.
type Options struct {
	// Rate is how many packets a second are traced of each flow, in each direction
	// and on each interface: 100 by default.
	Rate uint32
	// Paths is how many packets are kept, 512 by default, and Steps how many steps
	// of each, 128 by default. What is left out is counted.
	Paths, Steps int
	// Buffer is the size of the socket's buffer in bytes: 4 MiB by default, enough
	// for some 3,000 messages that were not read yet.
	Buffer int

	withoutOwner bool // for tests: as before Linux 5.12
}

func (o Options) withDefaults() Options {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&o.Paths, 512)
	set(&o.Steps, 128)
	set(&o.Buffer, 4<<20)
	if o.Rate == 0 {
		o.Rate = 100
	}
	return o
}

// maxFlows bounds the rules of the table.
const maxFlows = 64

// Tracer traces flows from Start to Close.
type Tracer struct {
	flows   []observe.Flow
	table   *table
	made    []made
	socket  *socket
	missing []observe.Unavailable
	release func() bool
	close   func() error

	mu    sync.Mutex
	paths *assembler
}

// tables counts the tables that this process made, for their names.
var tables atomic.Uint64

// Start traces packets of flows, in both directions, in the network namespace of the
// calling thread until Close is called or ctx ends. Where there is no trace the
// error is an *observe.Unavailable; families without one are in Result.Missing.
func Start(ctx context.Context, flows []observe.Flow, o Options) (t *Tracer, err error) {
	if len(flows) == 0 || len(flows) > maxFlows {
		return nil, fmt.Errorf("trace %d flows: give 1 to %d", len(flows), maxFlows)
	}
	for _, f := range flows {
		if err := f.Validate(); err != nil {
			return nil, err
		}
	}
	o = o.withDefaults()
	view, err := ruleset.Read(ctx, ruleset.Options{})
	if err != nil {
		return nil, rename(err)
	}
	t = &Tracer{flows: flows}
	t.close = sync.OnceValue(t.end)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
			t = nil
		}
	}()
	names, err := newNames()
	if err != nil {
		return t, err
	}
	me, err := self()
	if err != nil {
		names.close()
		return t, err
	}
	t.table = newTable(me, me.tableName(tables.Add(1)), flows, names.bridges(), view.Devices(), o.Rate)
	t.paths = newAssembler(t.table, flows, names, o)
	// The messages are heard before the first packet can be traced, and are looked at
	// once the table's handles are known.
	if t.socket, err = listen(o.Buffer); err != nil {
		return t, ruleset.Unavailable(Source, err)
	}
	go t.socket.read(t.receive)
	if err := t.install(o); err != nil {
		return t, err
	}
	t.release = context.AfterFunc(ctx, func() { _ = t.Close() }) // its error is kept for the next Close
	return t, nil
}

// rename says of a rule set that cannot be read that there is no trace.
func rename(err error) error {
	var u *observe.Unavailable
	if errors.As(err, &u) {
		return &observe.Unavailable{Source: Source, Why: u.Why, Err: u.Err}
	}
	return err
}

// install makes the table in all families at once, so that no packet is traced on a
// part of its way. Where that fails it makes them one by one: without inet there is no
// trace, another family may be missing from the kernel.
func (t *Tracer) install(o Options) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	families := slices.DeleteFunc([]ruleset.Family{ruleset.INet, ruleset.Bridge, ruleset.ARP, ruleset.Netdev}, func(f ruleset.Family) bool { return !t.table.needs(f) })
	if t.make(families, o) == nil {
		return nil
	}
	for _, family := range families {
		err := t.make([]ruleset.Family{family}, o)
		if err == nil {
			continue
		}
		err = ruleset.Unavailable(Source, err)
		if family == ruleset.INet {
			return err
		}
		var u *observe.Unavailable
		if !errors.As(err, &u) && !errors.Is(err, unix.ENOENT) {
			return err
		}
		t.missing = append(t.missing, observe.Unavailable{
			Source: Source, Why: fmt.Sprintf("what drops in the family %s is not seen: the kernel takes no table there", family), Err: err,
		})
	}
	return nil
}

// make makes the table of families in one transaction, bound to this process where
// the kernel can.
func (t *Tracer) make(families []ruleset.Family, o Options) error {
	flags := []uint32{tableOwner, 0}
	if o.withoutOwner {
		flags = flags[1:]
	}
	var err error
	for _, flag := range flags {
		if err = t.try(families, flag); err == nil {
			return nil
		}
		// A kernel that does not know the flag says one of these.
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return fmt.Errorf("make table %s in %v: %w", t.table.name, families, err)
}

// try makes the table by a socket of its own: on one that has been used, answers to
// the rest of a failed change would be taken for those of the next.
func (t *Tracer) try(families []ruleset.Family, flags uint32) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	b := &batch{}
	for _, f := range families {
		t.table.build(b, f, flags)
	}
	if err := b.send(conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	t.made = append(t.made, made{families, conn})
	for _, f := range families {
		if err := t.table.learn(conn, f); err != nil {
			return err
		}
	}
	return nil
}

// made are the families of one transaction, and the socket that owns their tables.
type made struct {
	families []ruleset.Family
	conn     *netlink.Conn
}

// remove removes the tables of one transaction; some may be gone by a flush of the
// rule set.
func (t *Tracer) remove(m made) error {
	b := &batch{}
	for _, f := range m.families {
		b.deleteTable(f, t.table.name)
	}
	err := b.send(m.conn)
	closed := m.conn.Close() // removes what it owns
	if !errors.Is(err, unix.ENOENT) {
		return errors.Join(err, closed)
	}
	errs := []error{closed}
	for _, f := range m.families {
		if err := removeTable(f, t.table.name); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove table %s %s (nft delete table %[1]s %[2]s): %w", f, t.table.name, err))
		}
	}
	return errors.Join(errs...)
}

// receive takes in one message.
func (t *Tracer) receive(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, err := decode(b)
	if err != nil {
		t.paths.undecoded(err)
		return
	}
	t.paths.add(m)
}

// Close ends the trace and removes the table. What was seen stays in Result. It may
// be called more than once.
func (t *Tracer) Close() error { return t.close() }

func (t *Tracer) end() error {
	var errs []error
	if t.release != nil {
		t.release()
	}
	for _, m := range t.made {
		errs = append(errs, t.remove(m))
	}
	if t.socket != nil {
		errs = append(errs, t.socket.close(t.receive))
	}
	if t.paths != nil {
		t.mu.Lock()
		t.paths.names.close()
		t.mu.Unlock()
	}
	return errors.Join(errs...)
}
