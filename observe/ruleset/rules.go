package ruleset

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Expression is one step of a rule, as the kernel names it.
type Expression struct {
	Name string
	// Expr is nil where the library does not know the expression.
	Expr expr.Any
}

// decodedRule is a rule before its sets are known.
type decodedRule struct {
	Rule
	exprs []Expression
}

func decodeRule(m netlink.Message) (decodedRule, error) {
	family, b, err := payload(m)
	if err != nil {
		return decodedRule{}, err
	}
	r := decodedRule{Rule: Rule{ChainID: ChainID{Family: family}, Source: FromKernel}}
	var inner error
	err = attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_RULE_TABLE:
			r.Table = ad.String()
		case unix.NFTA_RULE_CHAIN:
			r.Chain = ad.String()
		case unix.NFTA_RULE_HANDLE:
			r.Handle = ad.Uint64()
		case unix.NFTA_RULE_USERDATA:
			r.Comment = comment(ad.Bytes())
		case unix.NFTA_RULE_EXPRESSIONS:
			r.exprs, inner = decodeExpressions(family, ad.Bytes())
		}
	})
	r.Ports = selectsPorts(r.exprs)
	return r, errors.Join(err, inner)
}

// selectsPorts reports whether a rule looks at the port that a packet is to.
func selectsPorts(exprs []Expression) bool {
	return slices.ContainsFunc(exprs, func(e Expression) bool {
		switch x := e.Expr.(type) {
		case *expr.Payload:
			return x.Base == transport && x.OperationType == expr.PayloadLoad && x.Len <= 4 && x.Offset <= 2 && x.Offset+x.Len == 4
		case *expr.Ct:
			return x.Key == expr.CtKeyPROTODST
		case *expr.Match:
			all := [2]uint16{0, 65535}
			switch i := x.Info.(type) {
			case *xt.Tcp:
				return i.DstPorts != all
			case *xt.Udp:
				return i.DstPorts != all
			}
			return x.Name == "multiport"
		}
		return false
	})
}

func decodeExpressions(family Family, b []byte) (out []Expression, err error) {
	var errs []error
	errs = append(errs, attributes(b, func(ad *netlink.AttributeDecoder) {
		e := Expression{}
		errs = append(errs, attributes(ad.Bytes(), func(ad *netlink.AttributeDecoder) {
			switch ad.Type() {
			case unix.NFTA_EXPR_NAME:
				e.Name = ad.String()
			case unix.NFTA_EXPR_DATA:
				e.Expr = known(family, e.Name, ad.Bytes())
			}
		}))
		out = append(out, e)
	}))
	return out, errors.Join(errs...)
}

// makers are the expressions that rules are rendered from.
var makers = map[string]func() expr.Any{
	"bitwise":   func() expr.Any { return &expr.Bitwise{} },
	"cmp":       func() expr.Any { return &expr.Cmp{} },
	"connlimit": func() expr.Any { return &expr.Connlimit{} },
	"counter":   func() expr.Any { return &expr.Counter{} },
	"dynset":    func() expr.Any { return &expr.Dynset{} },
	"exthdr":    func() expr.Any { return &expr.Exthdr{} },
	"fib":       func() expr.Any { return &expr.Fib{} },
	"immediate": func() expr.Any { return &expr.Immediate{} },
	"limit":     func() expr.Any { return &expr.Limit{} },
	"log":       func() expr.Any { return &expr.Log{} },
	"lookup":    func() expr.Any { return &expr.Lookup{} },
	"masq":      func() expr.Any { return &expr.Masq{} },
	"match":     func() expr.Any { return &expr.Match{} },
	"meta":      func() expr.Any { return &expr.Meta{} },
	"nat":       func() expr.Any { return &expr.NAT{} },
	"numgen":    func() expr.Any { return &expr.Numgen{} },
	"objref":    func() expr.Any { return &expr.Objref{} },
	"payload":   func() expr.Any { return &expr.Payload{} },
	"queue":     func() expr.Any { return &expr.Queue{} },
	"quota":     func() expr.Any { return &expr.Quota{} },
	"range":     func() expr.Any { return &expr.Range{} },
	"redir":     func() expr.Any { return &expr.Redir{} },
	"reject":    func() expr.Any { return &expr.Reject{} },
	"target":    func() expr.Any { return &expr.Target{} },
}

// known decodes an expression, or returns nil: it is shown by its name then.
func known(family Family, name string, data []byte) expr.Any {
	if name == "ct" {
		return knownCt(data)
	}
	make, ok := makers[name]
	if !ok {
		return nil
	}
	e := make()
	if err := expr.Unmarshal(family.Number(), data, e); err != nil {
		return nil
	}
	// A verdict is an immediate that goes to the register of verdicts.
	if immediate, ok := e.(*expr.Immediate); ok && immediate.Register == unix.NFT_REG_VERDICT {
		verdict := &expr.Verdict{}
		if err := expr.Unmarshal(family.Number(), data, verdict); err != nil {
			return nil
		}
		return verdict
	}
	return e
}

// knownCt decodes what the library does not: a field that is set, and directions.
func knownCt(data []byte) expr.Any {
	e := &expr.Ct{}
	err := attributes(data, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_CT_KEY:
			e.Key = expr.CtKey(ad.Uint32())
		case unix.NFTA_CT_DREG:
			e.Register = ad.Uint32()
		case unix.NFTA_CT_SREG:
			e.Register, e.SourceRegister = ad.Uint32(), true
		case unix.NFTA_CT_DIRECTION:
			e.Direction = uint32(ad.Uint8())
		}
	})
	if err != nil {
		return nil
	}
	return e
}

// complete fills in what a rule's expressions say: its counter, its verdicts, its
// comment, its sets.
func (r *decodedRule) complete(sets *sets) {
	for _, e := range r.exprs {
		if a := alterationOf(r.Family, e); a != "" {
			r.Alters = append(r.Alters, a)
		}
		switch e := e.Expr.(type) {
		case *expr.Counter:
			r.Counter = &Counter{Packets: e.Packets, Bytes: e.Bytes}
		case *expr.Reject:
			r.Verdicts = append(r.Verdicts, Verdict{Kind: Reject})
		case *expr.Queue:
			r.Verdicts = append(r.Verdicts, Verdict{Kind: Queue})
		case *expr.Target:
			r.Verdicts = append(r.Verdicts, targetVerdicts(e.Name)...)
		case *expr.Match:
			if c, ok := e.Info.(*xt.Comment); ok && r.Comment == "" {
				r.Comment = string(*c)
			}
		case *expr.Verdict:
			r.Verdicts = append(r.Verdicts, verdictOf(e))
		case *expr.Lookup:
			set := sets.find(r.ChainID, e.SetName)
			r.Verdicts = append(r.Verdicts, set.verdicts...)
			if !set.anonymous {
				r.Sets = append(r.Sets, e.SetName)
			}
		case *expr.Dynset:
			r.Sets = append(r.Sets, e.SetName)
		}
	}
}

// targetVerdicts are those of iptables' extensions that end a packet's way.
func targetVerdicts(name string) []Verdict {
	switch name {
	case "REJECT":
		return []Verdict{{Kind: Reject}}
	case "DROP":
		return []Verdict{{Kind: Drop}}
	case "NFQUEUE":
		return []Verdict{{Kind: Queue}}
	}
	return nil
}

func verdictOf(v *expr.Verdict) Verdict {
	out := Verdict{Kind: KindOf(int32(v.Kind)), Chain: v.Chain}
	if out.Kind == Queue {
		out.Queue = uint16(uint32(v.Kind) >> 16)
	}
	return out
}

// The verdicts of linux/netfilter.h.
const (
	nfDrop   = 0
	nfAccept = 1
	nfStolen = 2
	nfQueue  = 3
	nfMask   = 0xff
)

// KindOf names a verdict by its code in netlink. Of a queue verdict the upper bits
// are the queue's number.
func KindOf(code int32) Kind {
	switch code {
	case unix.NFT_RETURN:
		return Return
	case unix.NFT_GOTO:
		return Goto
	case unix.NFT_JUMP:
		return Jump
	case unix.NFT_BREAK, unix.NFT_CONTINUE:
		return Continue
	}
	switch code & nfMask {
	case nfDrop:
		return Drop
	case nfAccept:
		return Accept
	case nfStolen:
		return Stolen
	case nfQueue:
		return Queue
	}
	return Kind(fmt.Sprintf("verdict %d", code))
}
