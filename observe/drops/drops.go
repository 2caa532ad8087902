// Package drops watches which packets of a flow the kernel drops, why and where:
// a raw tracepoint on skb:kfree_skb gives the drop reason, the function, the
// network namespace and the interface. It shows what no rule shows: reverse path
// filtering, forwarding that is off, a port that nobody listens on, a neighbour
// that does not answer.
//
// The program is assembled at run time; the places of the kernel's structures
// come from its BTF, the names of the reasons too. It needs Linux 5.8 (5.5 with a
// perf buffer instead of a ring buffer) with CONFIG_DEBUG_INFO_BTF, and CAP_BPF
// with CAP_PERFMON or CAP_SYS_ADMIN, in the machine or in a privileged container.
// Reasons are there since Linux 5.17; before it the function alone tells.
package drops

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/nestlab/nestlab/observe"
)

const (
	// Source names these sightings where they are unavailable.
	Source     = "kernel drops"
	tracepoint = "kfree_skb"

	maxFlows   = 64
	bufferSize = 1 << 18 // bytes; some 1,800 drops that were not read yet
	// maxDrops bounds how many different drops are kept: some 300 bytes each.
	maxDrops = 1024
)

// Watch says what is watched.
type Watch struct {
	// Flows are followed in both directions; at most 64.
	Flows []observe.Flow
	// Namespaces are the network namespaces to watch, by the inode of
	// /proc/PID/ns/net; none means all of the machine.
	Namespaces []uint32

	perf bool // for tests: a perf buffer also where there are ring buffers
}

// Drop is one kind of drop of one five-tuple.
type Drop struct {
	// Reason is the kernel's name for it without SKB_DROP_REASON_, such as
	// NETFILTER_DROP. NOT_SPECIFIED is a drop too. Empty before Linux 5.17.
	Reason string `json:"reason"`
	// Function dropped the packet, and the module that it is of, if any.
	Function string `json:"function,omitempty"`
	Module   string `json:"module,omitempty"`
	// Namespace is the inode of the network namespace, 0 where it is not known.
	Namespace uint32 `json:"namespace,omitempty"`
	// Interface is the device that the packet was at: the input until it is
	// routed, then the output.
	Interface string `json:"interface,omitempty"`
	Index     uint32 `json:"index,omitempty"`
	// Input is the index of the interface that it came in by; 0 for own packets.
	Input uint32        `json:"input,omitempty"`
	Tuple observe.Tuple `json:"tuple"`
	// ICMPType and ICMPCode are of ICMP and ICMPv6.
	ICMPType uint8 `json:"icmp_type,omitempty"`
	ICMPCode uint8 `json:"icmp_code,omitempty"`
	// Flow is the place of the flow in Watch.Flows; Reply is set on packets to its source.
	Flow  int  `json:"flow"`
	Reply bool `json:"reply,omitempty"`
}

// Count is the number of times that a drop was seen.
type Count struct {
	Drop
	Packets uint64    `json:"packets"`
	Longest uint32    `json:"longest"` // bytes
	First   time.Time `json:"first"`   // when it was read
	Last    time.Time `json:"last"`
}

// Report is what was seen.
type Report struct {
	Drops []Count `json:"drops"`
	// Lost are drops of these flows that could not be told: too many at once,
	// or of too many kinds.
	Lost uint64 `json:"lost,omitempty"`
	// Missing says what every drop lacks: reasons or functions.
	Missing []*observe.Unavailable `json:"missing,omitempty"`
}

// Watcher watches until it is stopped.
type Watcher struct {
	watch  Watch
	layout *layout
	out    output
	link   link.Link
	reader reader
	done   chan struct{}

	mu   sync.Mutex
	seen map[key]*Count
	lost uint64
	err  error // of the reading
}

type key struct {
	Drop
	location uint64
}

// Start begins to watch. Where the kernel or the privileges do not allow it, the
// error is an *observe.Unavailable.
func Start(watch Watch) (*Watcher, error) {
	if err := watch.validate(); err != nil {
		return nil, err
	}
	if err := lockdown(); err != nil {
		return nil, err
	}
	// Kernels before 5.11 count maps as locked memory.
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, unavailable("raise the limit of locked memory", err)
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, unavailable("read the kernel's types", err)
	}
	l, err := readLayout(spec)
	if err != nil {
		return nil, unavailable("read the kernel's types", err)
	}
	return start(watch, l)
}

func start(watch Watch, l *layout) (*Watcher, error) {
	w := &Watcher{watch: watch, layout: l, done: make(chan struct{}), seen: map[key]*Count{}}
	if err := w.load(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	go w.read()
	return w, nil
}

func (w Watch) validate() error {
	if len(w.Flows) == 0 || len(w.Flows) > maxFlows {
		return fmt.Errorf("watch the kernel's drops: name 1 to %d flows, not %d", maxFlows, len(w.Flows))
	}
	for _, f := range w.Flows {
		if err := f.Validate(); err != nil {
			return fmt.Errorf("watch the kernel's drops: %w", err)
		}
		if !f.Source.IsValid() && !f.Destination.IsValid() && len(w.Namespaces) == 0 {
			return fmt.Errorf("watch the kernel's drops: name a namespace for flow %+v, which has no address", f)
		}
	}
	return nil
}

// load makes the maps, loads the program and attaches it.
func (w *Watcher) load() error {
	if err := w.makeMaps(); err != nil {
		return unavailable("make a buffer for drops", err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "nestlab_drops", Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: program(w.layout, w.watch.Flows, w.watch.Namespaces, w.out),
	})
	if err != nil {
		return unavailable("load the program", err)
	}
	if w.link, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: prog}); err != nil {
		return errors.Join(unavailable("attach to tracepoint "+tracepoint, err), prog.Close())
	}
	return prog.Close() // the link holds it
}

func (w *Watcher) makeMaps() error {
	w.out.perf = w.watch.perf || features.HaveMapType(ebpf.RingBuf) != nil
	spec := &ebpf.MapSpec{Name: "nestlab_drops", Type: ebpf.RingBuf, MaxEntries: bufferSize}
	if w.out.perf {
		spec = &ebpf.MapSpec{Name: "nestlab_drops", Type: ebpf.PerfEventArray}
	}
	var err error
	if w.out.events, err = ebpf.NewMap(spec); err != nil {
		return err
	}
	if w.out.lost, err = ebpf.NewMap(&ebpf.MapSpec{Name: "nestlab_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return err
	}
	w.reader, err = newReader(w.out)
	return err
}

// Stop ends the watch and says what was seen since its start.
func (w *Watcher) Stop() (Report, error) {
	err := w.link.Close()
	w.link = nil
	err = errors.Join(err, w.reader.Flush())
	<-w.done
	report, seen := w.Report()
	return report, errors.Join(err, seen, w.close())
}

// Report says what was seen so far.
func (w *Watcher) Report() (Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full, err := w.out.missed()
	report := Report{Lost: w.lost + full}
	known, hidden := w.functions()
	for k, c := range w.seen {
		s := known[k.location]
		c.Function, c.Module = s.name, s.module
		report.Drops = append(report.Drops, *c)
	}
	slices.SortFunc(report.Drops, func(a, b Count) int { return a.First.Compare(b.First) })
	if len(w.layout.reasons) == 0 {
		report.Missing = append(report.Missing, &observe.Unavailable{Source: Source, Why: "no drop reasons: they are there since Linux 5.17"})
	}
	if hidden != nil {
		report.Missing = append(report.Missing, &observe.Unavailable{Source: Source, Why: "no names of functions", Err: hidden})
	}
	return report, errors.Join(err, w.err)
}

// functions returns the functions of all drops.
func (w *Watcher) functions() (map[uint64]symbol, error) {
	var all []uint64
	for k := range w.seen {
		all = append(all, k.location)
	}
	return functions(all)
}

func (w *Watcher) close() error {
	var errs []error
	if w.link != nil {
		errs = append(errs, w.link.Close())
	}
	if w.reader != nil {
		errs = append(errs, w.reader.Close())
	}
	for _, m := range []*ebpf.Map{w.out.events, w.out.lost} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}
