// Package answer tells who refused a flow: it captures the TCP resets and ICMP
// errors that answer it, on each interface and in each direction. What leaves this
// host and never came in is the host's own refusal, also where it bears another's
// address, as the reset of a REJECT rule does.
package answer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/tap"
)

// Source names these sightings where they are unavailable.
const Source = "resets and ICMP errors"

const (
	maxInterfaces = 64   // that are watched
	maxAnswers    = 1024 // that are kept: some 500 bytes each
)

// Sight is where an answer was seen. A forwarded one is seen twice.
type Sight struct {
	Interface string `json:"interface"`
	Port      bool   `json:"port,omitempty"` // of a bridge or the like
	// Incoming is of a packet that came in by the interface.
	Incoming bool `json:"incoming"`
	// Hops is the TTL or hop limit there. Senders start at 64, 128 or 255.
	Hops uint8 `json:"hops"`
	// From and To are the ends of the answer there: NAT changes them.
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
}

// Answer is a refusal of a flow.
type Answer struct {
	// Protocol is TCP for a reset, ICMP or ICMPv6 for an error with its type and code.
	Protocol observe.Protocol `json:"protocol"`
	Type     uint8            `json:"type,omitempty"`
	Code     uint8            `json:"code,omitempty"`
	// MTU is of "fragmentation needed" and "packet too big".
	MTU uint32 `json:"mtu,omitempty"`
	// Refused is the packet that was answered, from the flow's initiator, as it was
	// where the answer was first seen.
	Refused observe.Tuple `json:"refused"`
	// Host is set where this host, this network namespace, made the answer.
	Host   bool    `json:"host"`
	Sights []Sight `json:"sights"` // in their order
	Flow   int     `json:"flow"`   // the place in the flows that were given
	// Packets counts the packets where most were seen.
	Packets uint64    `json:"packets"`
	First   time.Time `json:"first"`
}

// Report is what was seen.
type Report struct {
	Answers []Answer `json:"answers"`
	// Lost are answers that could not be told: too many at once or of too many kinds.
	Lost uint64 `json:"lost,omitempty"`
}

// Watcher watches until it is stopped.
type Watcher struct {
	flows []observe.Flow
	taps  []*tap.Tap

	mu   sync.Mutex
	seen map[key]*entry
	lost uint64
}

// entry is an answer with the packets of each sight.
type entry struct {
	Answer
	packets []uint64
}

// Start begins to watch all interfaces of the namespace that it is called in, the
// ports of bridges too: where bridged packets are filtered (br_netfilter) a REJECT
// sends its reset by the port alone. On the loopback it watches what goes out,
// which is all of it. An answer is taken to be of a flow by its destination alone, as
// NAT changes the source. Where no interface can be watched, the error is an
// *observe.Unavailable; interfaces that alone cannot be watched are in the error
// beside a Watcher.
func Start(ctx context.Context, flows ...observe.Flow) (*Watcher, error) {
	w := &Watcher{seen: map[key]*entry{}}
	for _, f := range flows {
		if err := f.Validate(); err != nil {
			return nil, fmt.Errorf("watch for answers: %w", err)
		}
		if !f.Destination.IsValid() && f.DestinationPort == 0 {
			return nil, fmt.Errorf("watch for answers: name a destination of flow %+v", f)
		}
		f.Source, f.SourcePort = netip.Prefix{}, 0
		w.flows = append(w.flows, f)
	}
	if len(flows) == 0 {
		return nil, errors.New("watch for answers: name a flow")
	}
	list, err := interfaces()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, i := range list {
		errs = append(errs, w.open(ctx, i))
	}
	err = errors.Join(errs...)
	if len(w.taps) == 0 && err != nil {
		return nil, &observe.Unavailable{Source: Source, Why: "packets cannot be captured (CAP_NET_RAW)", Err: err}
	}
	return w, err
}

// open watches what comes in and what goes out by an interface.
func (w *Watcher) open(ctx context.Context, at netlink.LinkAttrs) error {
	directions := []bool{true, false}
	if at.Flags&net.FlagLoopback != 0 {
		directions = []bool{false}
	}
	on := &net.Interface{Index: at.Index, Name: at.Name, MTU: at.MTU, Flags: at.Flags, HardwareAddr: at.HardwareAddr}
	for _, incoming := range directions {
		program, err := filter(incoming)
		if err != nil {
			return err
		}
		t, err := tap.Open(ctx, on, program, snap, func(b []byte) {
			if p, ok := parse(b); ok {
				w.add(p, Sight{Interface: at.Name, Port: at.MasterIndex != 0, Incoming: incoming, Hops: p.hops, From: p.from, To: p.to})
			}
		})
		if err != nil {
			return err
		}
		w.taps = append(w.taps, t)
	}
	return nil
}

// interfaces lists those that are up, the ports of others last.
func interfaces() ([]netlink.LinkAttrs, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	var list, ports []netlink.LinkAttrs
	for _, l := range links {
		switch a := l.Attrs(); {
		case a.Flags&net.FlagUp == 0:
		case a.MasterIndex != 0:
			ports = append(ports, *a)
		default:
			list = append(list, *a)
		}
	}
	list = append(list, ports...)
	return list[:min(len(list), maxInterfaces)], nil
}

func (w *Watcher) add(p packet, s Sight) {
	flow := slices.IndexFunc(w.flows, func(f observe.Flow) bool { return f.Matches(p.refused) })
	if flow < 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.seen[p.key]
	if e == nil {
		if len(w.seen) >= maxAnswers {
			w.lost++
			return
		}
		e = &entry{Answer: Answer{
			Protocol: p.protocol, Type: p.kind, Code: p.code, MTU: p.mtu, Refused: p.refused, Flow: flow, First: time.Now(),
		}}
		w.seen[p.key] = e
	}
	i := slices.Index(e.Sights, s)
	if i < 0 {
		i = len(e.Sights)
		e.Sights, e.packets = append(e.Sights, s), append(e.packets, 0)
	}
	e.packets[i]++
}

// Report says what was seen so far.
func (w *Watcher) Report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Report{Lost: w.lost}
	for _, e := range w.seen {
		a := e.Answer
		// Interfaces are read side by side, so that their order is made.
		a.Sights = slices.SortedStableFunc(slices.Values(e.Sights), func(x, y Sight) int { return cmp.Compare(y.rank(), x.rank()) })
		a.Host = !a.Sights[0].Incoming
		a.Packets = slices.Max(e.packets)
		r.Answers = append(r.Answers, a)
	}
	slices.SortFunc(r.Answers, func(a, b Answer) int { return a.First.Compare(b.First) })
	return r
}

// rank puts what comes in before what goes out, and a port on its outer side.
func (s Sight) rank() int {
	n := 0
	if s.Incoming {
		n += 2
	}
	if s.Port == s.Incoming {
		n++
	}
	return n
}

// Stop ends the watch and says what was seen.
func (w *Watcher) Stop() (Report, error) {
	missed, err := tap.CloseAll(w.taps)
	r := w.Report()
	for _, n := range missed {
		r.Lost += n
	}
	return r, err
}
