// Package ruleset reads every base chain and rule that the kernel's nf_tables
// holds, in every family and on every hook, as typed values: those of nft and
// those of iptables-nft, ip6tables-nft, arptables-nft and ebtables-nft. It
// changes nothing and needs no program; where nft and iptables-nft-save are
// installed, rules are shown in their words.
//
// The tables of iptables-legacy are none of nf_tables: Read says where there are
// any, and they stay unseen.
package ruleset

import "fmt"

// Family is the address family of a table, by nft's name.
type Family string

// The families.
const (
	IP     Family = "ip"
	IP6    Family = "ip6"
	INet   Family = "inet"
	ARP    Family = "arp"
	Bridge Family = "bridge"
	Netdev Family = "netdev"
)

// Hook is where in a packet's way a base chain is called, by nft's name.
type Hook string

// The hooks.
const (
	Ingress     Hook = "ingress"
	Prerouting  Hook = "prerouting"
	Input       Hook = "input"
	Forward     Hook = "forward"
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
	Egress      Hook = "egress"
)

// Kind is what a rule or a policy does with a packet.
type Kind string

// The kinds. Jumps and gotos have a chain.
const (
	Accept   Kind = "accept"
	Drop     Kind = "drop"
	Reject   Kind = "reject"
	Queue    Kind = "queue"
	Stolen   Kind = "stolen"
	Continue Kind = "continue"
	Return   Kind = "return"
	Jump     Kind = "jump"
	Goto     Kind = "goto"
)

// Verdict is one that a rule can come to.
type Verdict struct {
	Kind  Kind   `json:"kind"`
	Chain string `json:"chain,omitempty"`
	// Queue is the number of the queue that a packet was handed to.
	Queue uint16 `json:"queue,omitempty"`
}

func (v Verdict) String() string {
	if v.Chain == "" {
		return string(v.Kind)
	}
	return fmt.Sprintf("%s %s", v.Kind, v.Chain)
}

// Ends reports whether the packet goes no further.
func (v Verdict) Ends() bool { return v.Kind == Drop || v.Kind == Reject }

// Counter is how much a rule or a policy met since it was set.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// ChainID names a chain.
type ChainID struct {
	Family Family `json:"family"`
	Table  string `json:"table"`
	Chain  string `json:"chain"`
}

func (id ChainID) String() string { return fmt.Sprintf("%s %s %s", id.Family, id.Table, id.Chain) }

// Table is a table with its owner's hints.
type Table struct {
	Family  Family `json:"family"`
	Name    string `json:"name"`
	Handle  uint64 `json:"handle"`
	Comment string `json:"comment,omitempty"`
	// Owned is set where a process holds the table: others cannot change it, and
	// it ends with the process (Linux 5.12).
	Owned bool `json:"owned,omitempty"`
	// Dormant is set where the table's chains are not called.
	Dormant bool `json:"dormant,omitempty"`
	// Sets are the names of its sets and maps, without the anonymous ones.
	Sets []string `json:"sets,omitempty"`
	// XTables is set where iptables-nft or one of its kin manages the table.
	XTables bool `json:"xtables,omitempty"`
}

// Base is what makes a chain a base chain.
type Base struct {
	Hook     Hook   `json:"hook"`
	Priority int32  `json:"priority"`
	Type     string `json:"type"` // filter, nat or route
	Policy   Kind   `json:"policy"`
	// Devices are the interfaces of a chain on ingress or egress.
	Devices []string `json:"devices,omitempty"`
	// Counter is the policy's; nil where nothing counts.
	Counter *Counter `json:"counter,omitempty"`
}

// Chain is a chain with its rules in order.
type Chain struct {
	ChainID
	Handle  uint64 `json:"handle"`
	Comment string `json:"comment,omitempty"`
	// Base is nil for chains that are only jumped to.
	Base  *Base  `json:"base,omitempty"`
	Rules []Rule `json:"rules,omitempty"`
}

// Rule is one rule.
type Rule struct {
	ChainID
	// Handle names the rule in its table for as long as it is there.
	Handle uint64 `json:"handle"`
	// Index is the rule's place in its chain, from 0.
	Index int `json:"index"`
	// Text is the rule for people, without counters, as Source writes it.
	Text    string     `json:"text"`
	Source  TextSource `json:"source"`
	Comment string     `json:"comment,omitempty"`
	// Counter is nil where nothing counts.
	Counter *Counter `json:"counter,omitempty"`
	// Verdicts are all that it can come to, those of its verdict map included.
	Verdicts []Verdict `json:"verdicts,omitempty"`
	// Sets are the named sets and maps that it looks up.
	Sets []string `json:"sets,omitempty"`
	// Ports is set where it selects packets by the port that they are to.
	Ports bool `json:"ports,omitempty"`
	// Alters are what it changes of packets that go on.
	Alters []Alteration `json:"alters,omitempty"`
}

// Alteration is what a rule changes of a packet.
type Alteration string

// The alterations that decide whether a packet is answered; the destination is told by
// the packet itself.
const (
	Untracks Alteration = "untracks"      // takes it out of connection tracking, and so of NAT
	SetsTTL  Alteration = "sets the TTL"  // or the hop limit
	SetsZone Alteration = "sets the zone" // of connection tracking
	SetsMark Alteration = "sets the mark" // that routing goes by
)

// Rejects reports whether the rule answers what it drops.
func (r Rule) Rejects() bool {
	for _, v := range r.Verdicts {
		if v.Kind == Reject {
			return true
		}
	}
	return false
}

// TextSource says in whose words a rule is shown.
type TextSource string

// The sources of a rule's text.
const (
	// FromKernel is the rendering of this package; an expression that it does not
	// know shows as its name in angle brackets.
	FromKernel TextSource = "nf_tables"
	// FromNFT is nft's, FromSave that of iptables-nft-save or ip6tables-nft-save.
	FromNFT  TextSource = "nft"
	FromSave TextSource = "iptables"
)
