package trace

import (
	"encoding/binary"
	"errors"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/ruleset"
)

// Type is what a message of the trace is about.
type Type string

// The types of messages, by the kernel's NFT_TRACETYPE_*.
const (
	// OfRule is a rule that matched, with its verdict.
	OfRule Type = "rule"
	// OfPolicy is the end of a base chain, with its policy.
	OfPolicy Type = "policy"
	// OfReturn is the end of a chain that was jumped to.
	OfReturn Type = "return"
)

var types = map[uint32]Type{unix.NFT_TRACETYPE_RULE: OfRule, unix.NFT_TRACETYPE_POLICY: OfPolicy, unix.NFT_TRACETYPE_RETURN: OfReturn}

// Interface is one that a packet came in by or goes out by.
type Interface struct {
	Index uint32 `json:"index"`
	// Name is empty where the interface was gone when its name was asked for.
	Name string `json:"name,omitempty"`
	// Type is the kernel's ARPHRD_* number: 1 is Ethernet.
	Type uint16 `json:"type,omitempty"`
}

// Conntrack is what connection tracking knew of a packet (Linux 6.16).
type Conntrack struct {
	ID     uint32 `json:"id"`
	Reply  bool   `json:"reply,omitempty"`
	Status uint32 `json:"status,omitempty"` // IPS_* bits: 0x10 source NAT, 0x20 destination NAT
	State  uint32 `json:"state,omitempty"`  // NF_CT_STATE_BIT: 1 invalid, 2 established, 4 related, 8 new
}

// Message is one message of the kernel's trace.
type Message struct {
	// ID is the same in all messages of a packet, as long as it stays in the same
	// buffer with the same input interface. It comes again with later packets.
	ID     uint32
	Family ruleset.Family
	Table  string
	Chain  string
	// Handle is that of the rule; 0 for policies.
	Handle  uint64
	Type    Type
	Verdict ruleset.Verdict
	// Packet, In, Out and Mark come in the first message of each base chain only.
	Packet    *Packet
	In, Out   *Interface
	Mark      uint32
	Conntrack *Conntrack
}

// Attributes that x/sys lacks: NFTA_TRACE_CT_* of linux/netfilter/nf_tables.h.
const (
	traceCtID        = 18
	traceCtDirection = 19
	traceCtStatus    = 20
	traceCtState     = 21
)

// raw is what has to be seen whole before it makes sense.
type raw struct {
	protocol                 uint32
	network, transport, link []byte
	in, out                  Interface
	hasIn, hasOut, hasPolicy bool
	policy                   uint32
	ct                       Conntrack
	hasCt                    bool
}

// decode reads the message that follows a netlink header of type NFT_MSG_TRACE. It
// keeps nothing of b.
func decode(b []byte) (*Message, error) {
	if len(b) < 4 {
		return nil, errors.New("decode a trace message: it is shorter than its header")
	}
	m := &Message{Family: ruleset.FamilyOf(b[0])}
	var r raw
	ad, err := netlink.NewAttributeDecoder(b[4:])
	if err != nil {
		return nil, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if err := m.attribute(ad, &r); err != nil {
			return nil, err
		}
	}
	if err := ad.Err(); err != nil {
		return nil, err
	}
	if m.Table == "" || m.Chain == "" || m.Type == "" {
		return nil, errors.New("decode a trace message: it names no table, chain or type")
	}
	m.complete(&r)
	return m, nil
}

func (m *Message) attribute(ad *netlink.AttributeDecoder, r *raw) (err error) {
	switch ad.Type() {
	case unix.NFTA_TRACE_ID:
		m.ID = ad.Uint32()
	case unix.NFTA_TRACE_TABLE:
		m.Table = ad.String()
	case unix.NFTA_TRACE_CHAIN:
		m.Chain = ad.String()
	case unix.NFTA_TRACE_RULE_HANDLE:
		m.Handle = ad.Uint64()
	case unix.NFTA_TRACE_TYPE:
		m.Type = types[ad.Uint32()]
	case unix.NFTA_TRACE_VERDICT:
		m.Verdict, err = ruleset.DecodeVerdict(ad.Bytes())
	case unix.NFTA_TRACE_POLICY:
		r.policy, r.hasPolicy = ad.Uint32(), true
	case unix.NFTA_TRACE_LL_HEADER:
		r.link = ad.Bytes()
	case unix.NFTA_TRACE_NETWORK_HEADER:
		r.network = ad.Bytes()
	case unix.NFTA_TRACE_TRANSPORT_HEADER:
		r.transport = ad.Bytes()
	case unix.NFTA_TRACE_IIF:
		r.in.Index, r.hasIn = ad.Uint32(), true
	case unix.NFTA_TRACE_IIFTYPE:
		r.in.Type = ad.Uint16()
	case unix.NFTA_TRACE_OIF:
		r.out.Index, r.hasOut = ad.Uint32(), true
	case unix.NFTA_TRACE_OIFTYPE:
		r.out.Type = ad.Uint16()
	case unix.NFTA_TRACE_MARK:
		m.Mark = ad.Uint32()
	case unix.NFTA_TRACE_NFPROTO:
		r.protocol = ad.Uint32()
	case traceCtID:
		// The kernel gives the id as it lies in memory.
		if id := ad.Bytes(); len(id) == 4 {
			r.ct.ID, r.hasCt = binary.BigEndian.Uint32(id), true
		}
	case traceCtDirection:
		r.ct.Reply = ad.Uint8() == 1
	case traceCtStatus:
		r.ct.Status = ad.Uint32()
	case traceCtState:
		r.ct.State = ad.Uint32()
	}
	return err
}

func (m *Message) complete(r *raw) {
	if r.hasPolicy {
		m.Verdict = ruleset.Verdict{Kind: ruleset.KindOf(int32(r.policy))}
	}
	if r.hasIn {
		m.In = &r.in
	}
	if r.hasOut {
		m.Out = &r.out
	}
	if r.hasCt {
		m.Conntrack = &r.ct
	}
	if len(r.network) > 0 {
		m.Packet = parse(r.network, r.transport, r.link)
	}
}
