package model

import "slices"

// Point is where on its way the runner last saw packets of a place.
type Point string

// The points, from the inside out and back.
const (
	PointGuest   Point = "guest"       // in the place itself: its bridge did not see them
	PointBridge  Point = "bridge"      // on the runner's bridge
	PointForward Point = "forward"     // in a forward chain of the runner
	PointRules   Point = "firewall"    // in a chain of the runner's firewall on another hook
	PointKernel  Point = "kernel"      // in the runner's kernel, beside the firewall
	PointUplink  Point = "uplink"      // leaving on the runner's uplink
	PointReturn  Point = "return path" // coming back: on the uplink, and not on the bridge
)

// Fate is what became of the packets at that point.
type Fate string

// The fates.
const (
	Vanished      Fate = "vanished"       // not seen any further
	Dropped       Fate = "dropped"        // a rule, a policy or the kernel dropped them
	Rejected      Fate = "rejected"       // the same, and the sender was told
	Redirected    Fate = "redirected"     // a rule sent them to another destination
	Untracked     Fate = "not tracked"    // a rule took them out of connection tracking, and so of NAT
	Translated    Fate = "translated"     // a rule gave them a source that the runner does not have
	Expired       Fate = "expired"        // a rule left them too small a TTL
	Exempted      Fate = "exempted"       // a rule of a NAT chain accepted them before NAT
	Zoned         Fate = "zoned"          // a rule put them into a zone of connection tracking that answers are not in
	Queued        Fate = "queued"         // a rule handed them to a program (NFQUEUE), and it did not give them back
	NotAnswered   Fate = "not answered"   // they got there, and no answer was seen
	NotTranslated Fate = "not translated" // they left with the place's own address
	Answered      Fate = "answered"       // nothing was lost as far as was seen
)

// Altered reports whether a rule changed the packets, and did not end them.
func (f Fate) Altered() bool {
	return f == Redirected || f == Untracked || f == Translated || f == Expired || f == Exempted || f == Zoned
}

// PacketKind is what kind of packets was followed.
type PacketKind string

// The kinds of packets.
const (
	AnyPacket PacketKind = "any"
	TCPSYN    PacketKind = "TCP SYN"
	DNSQuery  PacketKind = "DNS query"
	DHCP      PacketKind = "DHCP"
)

// Loss is where packets of a place were last seen, and what became of them there.
type Loss struct {
	Point Point      `json:"point"`
	Fate  Fate       `json:"fate"`
	Kind  PacketKind `json:"kind"`
	// Bridge and Uplink are the runner's interfaces that it was seen by.
	Bridge string `json:"bridge,omitempty"`
	Uplink string `json:"uplink,omitempty"`
	// Reply is set where the packets are answers to the place.
	Reply bool `json:"reply,omitempty"`
	// Drops are what dropped the packets at PointForward, PointRules and PointKernel.
	Drops []Drop `json:"drops,omitempty"`
}

// Drop is a policy or a rule of a chain, or where else the kernel dropped packets, and
// how many.
type Drop struct {
	Backend string `json:"backend"`
	Family  string `json:"family"`
	Table   string `json:"table"`
	Chain   string `json:"chain"`
	// Rule is empty for the chain's policy.
	Rule string `json:"rule,omitempty"`
	// Docker says that it is the policy of the chain that has DOCKER-USER.
	Docker  bool   `json:"docker,omitempty"`
	Packets uint64 `json:"packets"`
	// Hook, Owner and Reject are known where the packets were traced; Hook is the chain's,
	// Owner whose rule it is.
	Hook   string `json:"hook,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Reject bool   `json:"reject,omitempty"`
	// Redirect is where a rule sent them instead, or the source that it gave them.
	Redirect string `json:"redirect,omitempty"`
	// Alters is set where a rule changed them, and did not drop them.
	Alters Fate `json:"alters,omitempty"`
	// Queue and Reader are those of packets that a rule handed to a program.
	Queue  uint16 `json:"queue,omitempty"`
	Reader uint32 `json:"reader,omitempty"`
	// Kernel is set where no rule dropped them.
	Kernel *KernelDrop `json:"kernel,omitempty"`
}

// Same reports whether packets were lost at the same point in the same way,
// however many they were.
func (l Loss) Same(other Loss) bool {
	return l.Point == other.Point && l.Fate == other.Fate && l.Kind == other.Kind &&
		l.Bridge == other.Bridge && l.Uplink == other.Uplink && l.Reply == other.Reply &&
		slices.EqualFunc(l.Drops, other.Drops, Drop.same)
}

// same compares the policy or rule. Docker's own chain may be seen through two
// tools, and is one.
func (d Drop) same(other Drop) bool {
	if d.Docker && other.Docker {
		return true
	}
	if (d.Kernel == nil) != (other.Kernel == nil) || d.Kernel != nil && *d.Kernel != *other.Kernel {
		return false
	}
	d.Packets, other.Packets, d.Kernel, other.Kernel = 0, 0, nil, nil
	return d == other
}
