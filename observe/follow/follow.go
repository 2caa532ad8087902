// Package follow follows the packets of one place through this host while it is probed,
// by all sources of sightings at once, and tells in the run's own types where they ended:
// by which rule or policy of nf_tables, or by which function of the kernel and why; how
// such packets are routed, and who takes the place's DNS queries and DHCP requests.
// A source that is missing is named; the others carry on.
package follow

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/answer"
	"github.com/nestlab/nestlab/observe/drops"
	"github.com/nestlab/nestlab/observe/legacy"
	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/observe/trace"
)

// Subject is whose packets are followed, as far as that is known before.
type Subject struct {
	// Own is set for the host's own packets: from any of its addresses.
	Own bool
	// Bridges are the interfaces of this host that packets of the place may come in by.
	Bridges []string
	// Networks are those that the place's addresses are of.
	Networks []netip.Prefix
	// Destinations are addresses that the place is expected to try: only by them an
	// answer is known before NAT is undone.
	Destinations []netip.Addr
	// Resolvers are those that the host asks, also on behalf of the place.
	Resolvers []netip.Addr
}

// maxDestinations bounds the flows of answers; a source of sightings takes 64 flows.
const maxDestinations = 48

// maxResolvers bounds the resolvers of the host that are followed.
const maxResolvers = 3

// maxBridges bounds the bridges that are followed.
const maxBridges = 32

// maxPaths is how many packets are kept: some 2 KiB each.
const maxPaths = 4096

// flows are what the sources are asked for.
func (s Subject) flows() []observe.Flow {
	var flows []observe.Flow
	for _, b := range s.Bridges[:min(len(s.Bridges), maxBridges)] {
		flows = append(flows, observe.Flow{Input: b})
	}
	if len(s.Bridges) == 0 {
		for _, n := range s.Networks {
			flows = append(flows, observe.Flow{Source: n})
		}
	}
	for _, r := range s.Resolvers[:min(len(s.Resolvers), maxResolvers)] {
		for _, p := range []observe.Protocol{observe.UDP, observe.TCP} {
			flows = append(flows, observe.Flow{Protocol: p, Destination: observe.Host(r), DestinationPort: listen.DNS})
		}
	}
	for _, d := range s.Destinations[:min(len(s.Destinations), maxDestinations)] {
		for _, n := range s.Networks {
			if n.Addr().Is4() != d.Is4() || len(flows) == 64 {
				continue
			}
			flows = append(flows, observe.Flow{Source: n, Destination: observe.Host(d)})
		}
	}
	return flows
}

// networks are flows for the kernel's drops, which know no interface.
func (s Subject) networks() []observe.Flow {
	var flows []observe.Flow
	for _, n := range s.Networks {
		flows = append(flows, observe.Flow{Source: n})
	}
	if len(s.Bridges) > 0 {
		// DHCP is from and to no address of the network.
		flows = append(flows, observe.Flow{Source: observe.Host(netip.IPv4Unspecified())})
		for _, d := range s.Destinations[:min(len(s.Destinations), maxDestinations)] {
			flows = append(flows, observe.Flow{Destination: observe.Host(d)})
		}
	}
	return flows[:min(len(flows), 64)]
}

// Follower follows one place from Start to Stop.
type Follower struct {
	subject Subject
	tracer  *trace.Tracer
	drops   *drops.Watcher
	answers *answer.Watcher
	missing []string
	// control is what traffic control had counted, if controlled.
	control    control
	controlled bool
	// legacy are the rules of iptables-legacy with what they had counted.
	legacy []legacy.Rule
}

// addresses are this host's own, each as a network of one.
func addresses() ([]netip.Prefix, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	var own []netip.Prefix
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); ok && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && len(own) < maxOwn {
			own = append(own, observe.Host(ip))
		}
	}
	return own, nil
}

// maxOwn bounds the host's own addresses that are followed.
const maxOwn = 16

// Start begins to follow in the network namespace of the calling thread. What cannot be
// observed here is in the Sightings of Stop.
func Start(ctx context.Context, s Subject) *Follower {
	f := &Follower{}
	if s.Own {
		own, err := addresses()
		f.lacks(err)
		s.Networks = own
	}
	f.subject = s
	if len(s.flows()) == 0 {
		f.missing = append(f.missing, "packets: no bridge and no address of the place is known")
		return f
	}
	namespace, err := here()
	if err != nil {
		f.lacks(err)
		return f
	}
	if n := len(s.Bridges) - maxBridges; n > 0 {
		f.lacks(fmt.Errorf("packets of %d further bridges are not followed", n))
	}
	if f.control, err = readControl(); err == nil {
		f.controlled = true
	}
	f.lacks(err)
	var wg sync.WaitGroup
	var dropped, unlisted error
	wg.Go(func() { f.legacy, unlisted = legacy.Read(ctx) })
	wg.Go(func() {
		f.drops, dropped = drops.Start(drops.Watch{Flows: s.networks(), Namespaces: []uint32{namespace}})
	})
	answers, err := answer.Start(ctx, anywhere...)
	f.answers = answers
	f.lacks(err)
	tracer, err := trace.Start(ctx, s.flows(), trace.Options{Paths: maxPaths})
	f.tracer = tracer
	wg.Wait()
	f.lacks(err, dropped, unlisted)
	return f
}

// here is the network namespace of the calling thread, by its inode.
func here() (uint32, error) {
	info, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("find this network namespace: %w", err)
	}
	return uint32(info.Sys().(*syscall.Stat_t).Ino), nil
}

// lacks notes why a source tells nothing, or not all.
func (f *Follower) lacks(errs ...error) {
	for _, err := range errs {
		if err != nil && !slices.Contains(f.missing, err.Error()) {
			f.missing = append(f.missing, err.Error())
		}
	}
}

// Tried is one connection or query that the place tried.
type Tried struct {
	Source, Destination netip.Addr
	Port                uint16 // of the connection; 0 for none
	In                  string // the interface that it came in by; empty for the host's own
	Names               string // of a DNS query: the name; empty for a connection
	Failed              bool   // it was tried in vain
}

// To is the same to several addresses.
func (t Tried) To(addresses ...netip.AddrPort) []Tried {
	var all []Tried
	for _, a := range addresses {
		t.Destination, t.Port = a.Addr(), a.Port()
		all = append(all, t)
	}
	return all
}

// Stop ends it and tells what was seen, and how the packets of what was tried are routed.
func (f *Follower) Stop(ctx context.Context, tried []Tried) model.Sightings {
	var s model.Sightings
	var marks map[netip.AddrPort]marked
	f.lacks(f.surroundings(&s))
	if f.tracer != nil {
		result, err := f.tracer.Result(ctx)
		f.lacks(err, f.tracer.Close())
		mine, failed := own()
		readers, unread := queueReaders()
		f.lacks(failed, unread)
		if result != nil && failed == nil {
			s.Drops, s.Traced = ruleDrops(result, mine, readers), result.Lost == 0 && result.Omitted == 0
			marks, s.Untranslated = marksOf(result), untranslatedSix(result)
			for i := range result.Missing {
				f.lacks(&result.Missing[i])
			}
		}
	}
	if f.drops != nil {
		report, err := f.drops.Stop()
		f.lacks(err)
		s.Watched = err == nil && report.Lost == 0
		now, unlisted := legacy.Read(ctx)
		mine, unknown := own()
		f.lacks(unlisted, unknown)
		kernel := unruled(f.kernelDrops(report), s.Drops)
		if unknown == nil {
			kernel = byLegacy(kernel, legacy.Since(f.legacy, now), mine)
		}
		s.Drops = append(s.Drops, kernel...)
		for _, u := range report.Missing {
			f.lacks(u)
		}
	}
	f.refused(&s, tried)
	slices.SortStableFunc(s.Drops, func(a, b model.Sighting) int { return int(b.Packets) - int(a.Packets) })
	if len(s.Drops) > maxSightings {
		f.lacks(fmt.Errorf("%d further killers of packets are left out", len(s.Drops)-maxSightings))
		s.Drops = s.Drops[:maxSightings]
	}
	f.lacks(f.settings(&s), f.listeners(ctx, &s, tried), f.decisions(&s, tried, marks))
	f.lacks(f.conflicts(&s, tried))
	s.Missing = f.missing
	return s
}

// maxSightings bounds the killers that are told of one place.
const maxSightings = 64
