package model

import "net/netip"

// Surroundings are what decides about packets beside firewall and routing.
type Surroundings struct {
	// Queues are the queueing disciplines that dropped packets while the place was probed,
	// Filters the filters of traffic control that took packets away meanwhile.
	Queues  []Queue         `json:"queues,omitempty"`
	Filters []TrafficFilter `json:"filters,omitempty"`
	// Shapers are the queueing disciplines and classes that held packets back meanwhile, as
	// these came faster than their rate.
	Shapers []Shaper `json:"shapers,omitempty"`
	// IPsec are the policies that block packets, or want them encrypted without a state for it.
	IPsec []IPsecPolicy `json:"ipsec,omitempty"`
	// Conflicts are addresses of the runner's that another machine says it has.
	Conflicts []AddressConflict `json:"conflicts,omitempty"`
	// Untranslated are the flows of IPv6 to the internet that left with private sources.
	Untranslated []UntranslatedFlow `json:"untranslated,omitempty"`
}

// Queue is a queueing discipline (tc-qdisc) of one interface.
type Queue struct {
	Interface string `json:"interface"`
	Kind      string `json:"kind"` // tbf, fq_codel, netem, …
	Handle    string `json:"handle,omitempty"`
	// Burst is how many bytes a token bucket holds, and MTU the interface's: 0 for other kinds.
	Burst uint64 `json:"burst,omitempty"`
	MTU   int    `json:"mtu,omitempty"`
	// Dropped counts the packets that it dropped meanwhile.
	Dropped uint64 `json:"dropped"`
}

// Shaper is a queueing discipline, or one of its classes, with a rate.
type Shaper struct {
	Interface string `json:"interface"`
	Kind      string `json:"kind"`            // htb or tbf
	Class     string `json:"class,omitempty"` // of htb
	// Rate is the most that it lets pass, in bits per second.
	Rate uint64 `json:"rate"`
	// Delayed is how often packets had to wait meanwhile, Waiting the bytes that wait at its end.
	Delayed uint64 `json:"delayed"`
	Waiting uint64 `json:"waiting,omitempty"`
}

// TrafficFilter is a filter (tc-filter) that drops packets, or hands them to another
// interface.
type TrafficFilter struct {
	Interface string `json:"interface"`
	Egress    bool   `json:"egress,omitempty"`
	Kind      string `json:"kind"` // u32, flower, matchall, …
	Priority  uint16 `json:"priority"`
	// To is the interface that it hands packets to; empty for one that drops them.
	To string `json:"to,omitempty"`
	// Packets is how many it took meanwhile.
	Packets uint64 `json:"packets"`
}

// IPsecPolicy is a policy of the kernel's (ip-xfrm) that blocks packets, or that wants them
// encrypted and has no state to do it by.
type IPsecPolicy struct {
	Source      netip.Prefix `json:"source"`
	Destination netip.Prefix `json:"destination"`
	Direction   string       `json:"direction"` // in, out or fwd
	Priority    int          `json:"priority,omitempty"`
	// Tunnel is the far end of the encryption that there is no state for; zero for a policy
	// that blocks.
	Tunnel netip.Addr `json:"tunnel,omitzero"`
}

// UntranslatedFlow is IPv6 packets that were forwarded and left with a private source, which
// nobody on the internet can answer.
type UntranslatedFlow struct {
	Interface   string         `json:"interface"`
	Source      netip.Addr     `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	Packets     uint64         `json:"packets"`
}

// AddressConflict is another machine on the link of an interface that has an address of the
// runner's there.
type AddressConflict struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
	MAC       string     `json:"mac"` // the other machine's
}

// NextHop is what the kernel knows of the neighbour that a packet is handed to.
type NextHop struct {
	Address netip.Addr `json:"address"`
	// Permanent is set where somebody wrote the entry: the kernel does not ask.
	Permanent bool   `json:"permanent,omitempty"`
	State     string `json:"state"`
	MAC       string `json:"mac,omitempty"`
}
