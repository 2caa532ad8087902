package diagnose

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// killer is one rule, policy or function of the kernel that packets of failing probes
// were seen to end by. It is no inference: the probes' own packets were followed.
type killer struct {
	cause string
	model.Sighting
	// bridges are those of the places; none for the runner's own packets.
	bridges []string
	places  []model.Place
	// own is set where packets of the runner itself are among them.
	own bool
	// failed are the results whose packets ended here.
	failed  []model.Result
	watches []*model.Watch
	refs    map[string]bool // of failed
	// dropped is how many packets of each place.
	dropped map[model.Place]uint64
}

// killerKey tells killers apart.
type killerKey struct {
	cause  string
	reply  bool
	rule   model.FirewallRule
	kernel model.KernelDrop
	to     netip.AddrPort
}

// ownTables begins the names of the tables that remedies make.
const ownTables = "nestlab"

// killers are what packets of unexplained failures were seen to end by, those that
// explain most first.
func (v *view) killers() []killer {
	if v.seen != nil {
		return *v.seen
	}
	var all []killer
	at := map[killerKey]int{}
	for _, p := range v.places() {
		w := v.watch(p)
		if w == nil || w.Sightings == nil {
			continue
		}
		for _, s := range w.Sightings.Drops {
			if s.Rule == nil && s.Kernel == nil {
				continue // of somebody's file
			}
			if s.Rule != nil && strings.HasPrefix(s.Rule.Table, ownTables) || v.ledAround(s) {
				continue // of a remedy that is being tried
			}
			if (killer{Sighting: s}).discovers() != "" {
				s.Reply = false // who asks on a link and who answers needs the same
			}
			s = v.ownPackets(p, s)
			failed := v.endedBy(p, s)
			cause := v.causeOf(w, s)
			if len(failed) == 0 || cause == "" {
				continue
			}
			key := killerKey{cause: cause, reply: s.Reply, to: s.Redirect}
			if s.Rule != nil {
				key.rule = *s.Rule
			} else {
				s.Kernel = v.anywhere(cause, s.Kernel)
				key.kernel = *s.Kernel
			}
			i, known := at[key]
			if !known {
				i = len(all)
				at[key] = i
				all = append(all, killer{cause: cause, Sighting: s, dropped: map[model.Place]uint64{}})
			} else {
				all[i].Packets += s.Packets
				all[i].Flows = append(slices.Clip(all[i].Flows), s.Flows...)
			}
			all[i].dropped[p] += s.Packets
			all[i].add(v, p, w, failed)
		}
	}
	slices.SortStableFunc(all, func(a, b killer) int { return cmp.Compare(len(b.failed), len(a.failed)) })
	v.seen = &all
	return all
}

// anywhere is a drop without its interface, where one switch has it happen on all.
func (v *view) anywhere(cause string, k *model.KernelDrop) *model.KernelDrop {
	if on, known := v.forwards(); cause != CauseIPForwardOff || !known || on {
		return k
	}
	all := *k
	all.Interface = ""
	return &all
}

func (k *killer) add(v *view, p model.Place, w *model.Watch, failed []model.Result) {
	if k.refs == nil {
		k.refs = map[string]bool{}
	}
	for _, r := range failed {
		if ref := r.Ref(); !k.refs[ref] {
			k.refs[ref] = true
			k.failed = append(k.failed, r)
		}
	}
	if !slices.Contains(k.places, p) {
		k.places, k.watches = append(k.places, p), append(k.watches, w)
	}
	k.own = k.own || p == v.runner()
	bridge, ok := v.attached(p)
	if bridge == "" && ok {
		bridge, _ = v.guestBridge()
	}
	if bridge != "" && !slices.Contains(k.bridges, bridge) {
		k.bridges = append(k.bridges, bridge)
	}
}

// endedBy lists a place's unexplained failures whose packets are among those of a sighting.
func (v *view) endedBy(p model.Place, s model.Sighting) []model.Result {
	facts := v.facts(p)
	if !v.ofPlace(p, facts, s) {
		return nil
	}
	return filter(v.unexplained(), func(r model.Result) bool {
		return r.Place == p && r.Probe != model.ProbeStart && r.Outcome.Bad() && v.met(r, facts, s)
	})
}

// ownPackets leaves of a sighting the packets of a place, where its addresses are known:
// others may be behind the same bridge.
func (v *view) ownPackets(p model.Place, s model.Sighting) model.Sighting {
	facts := v.facts(p)
	if facts == nil || !hasAddress(facts) {
		return s
	}
	own, runner := v.addressesOf(p, facts), v.addressesOf(v.runner(), v.facts(v.runner()))
	s.Flows = filter(s.Flows, func(f model.PacketFlow) bool {
		local, _ := s.Ends(f)
		a := local.Addr()
		switch {
		case v.onBehalf(p, s, f):
			return true
		case f.Protocol == model.ProtocolARP || f.Protocol == model.ProtocolNDP:
			return true
		case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || slices.Contains(own, a):
			return true
		case a.Is6() && slices.ContainsFunc(networks(facts), func(n netip.Prefix) bool { return n.Contains(a) }):
			return true // one of its temporary addresses
		}
		return s.Reply && slices.Contains(runner, a)
	})
	return s
}

// ofPlace reports whether packets are of a place: by its addresses, or, before it has
// one, by the bridge that it is behind. Answers that NAT has not translated back yet
// are to the runner.
func (v *view) ofPlace(p model.Place, facts *model.Facts, s model.Sighting) bool {
	bridge, bridged := v.attached(p)
	if bridge == "" && bridged && v.addressless(p) {
		bridge, _ = v.guestBridge()
	}
	if bridge != "" && (s.In == bridge || s.Out == bridge) {
		return true
	}
	own := v.addressesOf(p, facts)
	return slices.ContainsFunc(s.Flows, func(f model.PacketFlow) bool {
		local, _ := s.Ends(f)
		a := local.Addr()
		if f.Protocol == model.ProtocolARP || f.Protocol == model.ProtocolNDP {
			return true // met tells by both ends
		}
		return slices.Contains(own, a) || v.onBehalf(p, s, f) || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() ||
			s.Reply && slices.Contains(v.addressesOf(v.runner(), v.facts(v.runner())), a)
	})
}

// addressesOf are a place's own addresses; an inner container's packets have its
// daemon's.
func (v *view) addressesOf(p model.Place, facts *model.Facts) []netip.Addr {
	var own []netip.Addr
	if facts != nil {
		for _, n := range networks(facts) {
			own = append(own, n.Addr())
		}
	}
	if p.Environment == model.EnvDindInner {
		p.Environment = model.EnvDind
		own = append(own, v.addressesOf(p, v.facts(p))...)
	}
	return own
}

// The protocols as sightings name them, and the ports of services.
const (
	protoTCP, protoUDP, protoICMP, protoICMPv6 = "tcp", "udp", "icmp", "ipv6-icmp"

	portDNS, portDHCP = 53, 67
)

// met reports whether packets of a failing result are among those of a sighting: of the
// stage that it failed at.
func (v *view) met(r model.Result, facts *model.Facts, s model.Sighting) bool {
	if facts != nil && !hasAddress(facts) && len(facts.Interfaces) > 0 {
		return s.Carries(portDHCP, protoUDP)
	}
	if s.Fate == model.Redirected && v.misnamed(r) {
		return v.asks53(facts, s)
	}
	if r.Probe == model.ProbeICMP || r.Probe == model.ProbePathMTU && len(r.Detail.Dials) == 0 && !slices.Contains(unresolved, r.Reason) {
		return slices.ContainsFunc(r.Tried(), func(a netip.Addr) bool {
			return s.To(a, 0, protoICMP, protoICMPv6) || s.Discovers(v.neighbours(r, facts), a.Is6())
		})
	}
	if len(r.Detail.Dials) == 0 {
		if slices.ContainsFunc(s.Flows, func(f model.PacketFlow) bool { return v.onBehalf(r.Place, s, f) }) {
			return unnamed(r)
		}
		return unnamed(r) && (v.asks53(facts, s) || v.asksForResolver(r, facts, s))
	}
	connecting := []model.Reason{model.ConnectTimeout, model.Refused, model.Unreachable, model.Permission, model.DeadlineExceeded}
	return slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool {
		to, err := netip.ParseAddrPort(d.Address)
		if err != nil {
			return false
		}
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		if s.Fate.Altered() {
			return s.Met(to, model.Opening)
		}
		if d.Reason == "" {
			cut := slices.Contains(cutOff, r.Reason) || s.Fate == model.Rejected && slices.Contains(reset, r.Reason)
			return cut && s.Met(to, model.Data)
		}
		return slices.Contains(connecting, d.Reason) && (s.Met(to, model.Opening) || s.Discovers(v.neighbours(r, facts), to.Addr().Is6()))
	})
}

// cutOff are the reasons of a failure after a connection came about that lost packets can
// be why of.
var cutOff = []model.Reason{model.ReadTimeout, model.DeadlineExceeded, model.MTU, model.TLSOther, model.PackageManager, model.ReasonOther}

// reset are those of a connection that was there, and that a reject ended.
var reset = []model.Reason{model.Refused, model.RegistryError, model.ImageNotFound, model.BuildFailed, model.ContainerFailed}

// unnamed reports whether a result failed before an address was known.
func unnamed(r model.Result) bool {
	lookups := []string{model.ProbeDNSA, model.ProbeDNSAAAA}
	reasons := []model.Reason{
		model.DNSTimeout, model.DNSServFail, model.DNSRefused, model.Unreachable, model.Refused, model.Permission, model.ReadTimeout, model.DeadlineExceeded,
		model.ConnectTimeout,
	}
	return (tcpLike(r) || slices.Contains(lookups, r.Probe) || r.Probe == model.ProbeFirst) && slices.Contains(reasons, r.Reason) ||
		r.Probe == model.ProbePathMTU && slices.Contains(unresolved, r.Reason)
}
