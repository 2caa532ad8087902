package model

import (
	"net/netip"
	"slices"
)

// Sightings are what the runner's kernel told of the packets of a place while it was
// probed: those that went no further, and what decides about such packets.
type Sightings struct {
	// Drops are the packets that were dropped, those of one killer together, the most
	// frequent first.
	Drops []Sighting `json:"drops,omitempty"`
	// Refusals answered what the place tried: those of the runner, and what came in to it.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Interfaces are the runner's with what decides about their packets.
	Interfaces []InterfaceSettings `json:"interfaces,omitempty"`
	// Decisions are the routes of packets to what the place tried in vain.
	Decisions []Decision `json:"decisions,omitempty"`
	// Listeners take DNS queries and DHCP requests on the runner; ListenersRead says
	// whether they were looked for.
	Listeners     []Listener `json:"listeners,omitempty"`
	ListenersRead bool       `json:"listeners_read,omitempty"`
	// Conntrack is the table of connections; nil where there is none.
	Conntrack *Conntrack `json:"conntrack,omitempty"`
	// Traced says that the rules of nf_tables were followed: what they dropped is in Drops.
	Traced bool `json:"traced,omitempty"`
	// Watched says that what the kernel dropped elsewhere was followed too.
	Watched bool `json:"watched,omitempty"`
	// Missing says which sources told nothing here, or not all, and why.
	Missing []string `json:"missing,omitempty"`

	Surroundings
}

// Conntrack is how many connections the kernel tracks, and how many it can.
type Conntrack struct {
	Count int `json:"count"`
	Max   int `json:"max"`
	// Timeouts are those after which connections that wait for an answer are forgotten.
	Timeouts []ConntrackTimeout `json:"timeouts,omitempty"`
}

// ConntrackTimeout is one setting of connection tracking.
type ConntrackTimeout struct {
	Setting string `json:"setting"`
	Seconds int    `json:"seconds"`
}

// Followed reports whether what rules of nf_tables dropped was followed.
func (s *Sightings) Followed() bool { return s != nil && s.Traced }

// Full reports whether there is no room for more, or hardly any.
func (c *Conntrack) Full() bool { return c != nil && c.Max > 0 && c.Count >= c.Max-c.Max/20 }

// Sighting is packets of one direction that one rule, policy or function of the kernel
// dropped.
type Sighting struct {
	// Reply is set for packets to the place.
	Reply bool `json:"reply,omitempty"`
	// Fate is Dropped, Rejected where the sender was told, or what a rule changed of them.
	Fate Fate `json:"fate"`
	// Redirect is where redirected packets went instead, and the source of translated ones.
	Redirect netip.AddrPort `json:"redirect,omitzero"`
	// Queue is the number of the queue (NFQUEUE) that packets were handed to, and Reader the
	// port of netlink, mostly the process, of who reads it; 0 for nobody.
	Queue  uint16 `json:"queue,omitempty"`
	Reader uint32 `json:"reader,omitempty"`
	// Rule is the rule or policy of nf_tables; nil where the kernel dropped them elsewhere.
	Rule *FirewallRule `json:"rule,omitempty"`
	// Kernel is where the kernel dropped them, if no rule did.
	Kernel *KernelDrop `json:"kernel,omitempty"`
	// In and Out are the interfaces that packets came in by and were to leave by, as far
	// as that was seen.
	In  string `json:"in,omitempty"`
	Out string `json:"out,omitempty"`
	// Packets is how many were seen; Flows are those that they are of, the first ones.
	Packets uint64       `json:"packets"`
	Flows   []PacketFlow `json:"flows"`
}

// FirewallRule is a rule or a policy of nf_tables in its place.
type FirewallRule struct {
	Family string `json:"family"` // ip, ip6, inet, arp, bridge or netdev
	Table  string `json:"table"`
	Chain  string `json:"chain"`
	// Hook and Priority are those of the base chain that the packet was in.
	Hook     string `json:"hook"`
	Priority int32  `json:"priority,omitempty"`
	// Handle names the rule; 0 for a policy.
	Handle uint64 `json:"handle,omitempty"`
	// Index is the place of the rule in its chain, from 0.
	Index int `json:"index,omitempty"`
	// Text is the rule in the words of its program; empty for a policy.
	Text string `json:"text,omitempty"`
	// Ports is set where the rule selects by the port that packets are to, Shared where its
	// chain is reached from other hooks too.
	Ports  bool `json:"ports,omitempty"`
	Shared bool `json:"shared,omitempty"`
	// XTables is set where iptables-nft or one of its kin manages the table.
	XTables bool `json:"xtables,omitempty"`
	// Legacy is set where it is of iptables-legacy, beside nf_tables: its handle is its number
	// in its chain then.
	Legacy bool `json:"legacy,omitempty"`
	// Owner is whose rule it is by its table, chains and comments; empty where that is
	// not known.
	Owner string `json:"owner,omitempty"`
}

// KernelDrop is where the kernel dropped a packet.
type KernelDrop struct {
	// Reason is the kernel's, without SKB_DROP_REASON_; empty before Linux 5.17.
	Reason   string `json:"reason,omitempty"`
	Function string `json:"function,omitempty"`
	// Interface is the device that the packet was at.
	Interface string `json:"interface,omitempty"`
}

// PacketFlow is packets of one protocol from one address to another; ports are 0 where
// there are none, and the initiator's is left out.
type PacketFlow struct {
	Protocol    string         `json:"protocol"`
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	// Stage is which part of a TCP connection they are of; empty where that was not seen.
	Stage Stage `json:"stage,omitempty"`
	// Translated is where they were to when they ended, where NAT had changed that.
	Translated netip.AddrPort `json:"translated,omitzero"`
}

// To is where packets were to when they ended.
func (f PacketFlow) To() netip.AddrPort {
	if f.Translated.IsValid() {
		return f.Translated
	}
	return f.Destination
}

// Stage is a part of a TCP connection.
type Stage string

// The stages.
const (
	Opening Stage = "opening" // SYN, with or without ACK
	Data    Stage = "data"    // what comes between, bare acknowledgements included
	Closing Stage = "closing" // FIN or RST
)

// InterfaceSettings are what decides about packets of one interface of the runner.
type InterfaceSettings struct {
	Interface string `json:"interface"`
	// Forwarding4 is net.ipv4.conf.X.forwarding; RPFilter is 0 off, 1 strict or 2 loose.
	Forwarding4 bool `json:"forwarding4"`
	RPFilter    int  `json:"rp_filter"`
	// NoARP is set where the interface neither asks for neighbours nor answers them, though
	// its kind could.
	NoARP bool `json:"no_arp,omitempty"`
	// ARPIgnore is which requests for the runner's own addresses are not answered there
	// (arp_ignore); with 8 none is.
	ARPIgnore int    `json:"arp_ignore,omitempty"`
	Diverted  string `json:"diverted,omitempty"` // the port that a bridge sends frames for its own MAC address to
}

// Decision is how the runner routes one packet.
type Decision struct {
	Source      netip.Addr `json:"source"`
	Destination netip.Addr `json:"destination"`
	// Port is that of the connection that was tried; 0 for none.
	Port uint16 `json:"port,omitempty"`
	In   string `json:"in,omitempty"`
	// Reply is set for the packet that comes back.
	Reply bool `json:"reply,omitempty"`
	// Kind is unicast, local, or why the packet goes nowhere: unreachable, blackhole,
	// prohibit, no route, not forwarding, reverse path, martian.
	Kind    string     `json:"kind"`
	Out     string     `json:"out,omitempty"`
	Gateway netip.Addr `json:"gateway,omitzero"`
	Table   int        `json:"table,omitempty"`
	// Rule is the policy rule that chose the table, as ip rule writes it, and Priority
	// its place; empty for the kernel's own rules.
	Rule     string `json:"rule,omitempty"`
	Priority int    `json:"priority,omitempty"`
	// Mark is the packet's (fwmark), and MarkedBy the rule that set it; 0 for none.
	Mark     uint32        `json:"mark,omitempty"`
	MarkedBy *FirewallRule `json:"marked_by,omitempty"`
	// Prefers is the source address that the runner's own packets get by that route.
	Prefers netip.Addr `json:"prefers,omitzero"`
	// Main is where the table main sends the packet, without any policy rule.
	Main string `json:"main,omitempty"`
	// MTU is the route's own in bytes; 0 for one that has none.
	MTU int `json:"mtu,omitempty"`
	// Hop is what the kernel knows of the neighbour that it is handed to; nil where that was
	// not looked up.
	Hop *NextHop `json:"hop,omitempty"`
}

// Ends are those of a flow: on the place's side, and the other one.
func (s Sighting) Ends(f PacketFlow) (local, remote netip.AddrPort) {
	if s.Reply {
		return f.Destination, f.Source
	}
	return f.Source, f.Destination
}

// To reports whether packets of a flow with an address at its other end are among them.
func (s Sighting) To(remote netip.Addr, port uint16, protocols ...string) bool {
	return slices.ContainsFunc(s.Flows, func(f PacketFlow) bool {
		_, end := s.Ends(f)
		return (!remote.IsValid() || end.Addr() == remote) && (port == 0 || end.Port() == port) && slices.Contains(protocols, f.Protocol)
	})
}

// Remotes are the addresses at the other ends of the flows, where they ended.
func (s Sighting) Remotes() []netip.Addr {
	var all []netip.Addr
	for _, f := range s.Flows {
		end := f.To()
		if s.Reply {
			end = f.Source
		}
		if end.Addr().IsValid() && !slices.Contains(all, end.Addr()) {
			all = append(all, end.Addr())
		}
	}
	return all
}

// Met reports whether packets of a TCP connection with an address at its other end are
// among them, of a stage or of one that was not seen.
func (s Sighting) Met(remote netip.AddrPort, stage Stage) bool {
	return slices.ContainsFunc(s.Flows, func(f PacketFlow) bool {
		_, end := s.Ends(f)
		return f.Protocol == "tcp" && end == remote && (f.Stage == stage || f.Stage == "")
	})
}

// Carries reports whether packets of a protocol from or to a port are among them.
func (s Sighting) Carries(port uint16, protocol string) bool {
	return slices.ContainsFunc(s.Flows, func(f PacketFlow) bool {
		return f.Protocol == protocol && (f.Source.Port() == port || f.Destination.Port() == port)
	})
}

// The protocols that neighbours find each other by, as flows name them.
const (
	ProtocolARP = "arp"
	ProtocolNDP = "ndp" // ICMPv6's neighbour discovery
)

// Discovers reports whether packets are among them by which some of these find each other
// on a link, of IPv6 or of IPv4.
func (s Sighting) Discovers(among []netip.Addr, six bool) bool {
	return slices.ContainsFunc(s.Flows, func(f PacketFlow) bool {
		a, b := f.Source.Addr(), f.Destination.Addr()
		switch f.Protocol {
		case ProtocolARP:
			return !six && isOf(a, among) && isOf(b, among)
		case ProtocolNDP:
			return six && isOf(a, among) && isOf(b, among)
		}
		// What the kernel dropped does not say its kind.
		return six && f.Protocol == "ipv6-icmp" && (b.IsMulticast() || a.IsLinkLocalUnicast() || b.IsLinkLocalUnicast())
	})
}

// isOf reports whether an address is one of these, or a group that one of them listens to.
func isOf(a netip.Addr, all []netip.Addr) bool {
	if a.IsUnspecified() || a == netip.IPv6LinkLocalAllNodes() {
		return true
	}
	return slices.ContainsFunc(all, func(b netip.Addr) bool {
		if a == b || a.Is4() || b.Is4() {
			return a == b
		}
		// The solicited-node group: the last 24 bits (RFC 4291, 2.7.1).
		group, one := a.As16(), b.As16()
		return [13]byte(group[:13]) == [13]byte{0xff, 2, 11: 1, 12: 0xff} && [3]byte(group[13:]) == [3]byte(one[13:])
	})
}
