package ruleset

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
)

// renderer shows a rule much as nft would: the kernel keeps no text.
type renderer struct {
	in    ChainID
	sets  *sets
	words []string
	// loads are what registers hold until it is compared, in the order of loading.
	loads []load
	// protocol is the transport protocol that was compared last, by nft's name.
	protocol string
	// lower is the lower end of a range of which the upper end may follow.
	lower *lowerEnd
}

// lowerEnd is a comparison that is the first half of a range, and the words before it.
type lowerEnd struct {
	load
	value string
	words int
}

// load is a field that was loaded, or a constant.
type load struct {
	register uint32
	name     string
	// mask is what a bitwise operation left of the field; suffix a prefix's length.
	mask   []byte
	suffix string
	data   []byte
}

// text renders a rule. An expression that is not known shows as its name in angle
// brackets.
func text(in ChainID, exprs []Expression, sets *sets) string {
	r := &renderer{in: in, sets: sets}
	for _, e := range exprs {
		r.expression(e)
	}
	return strings.Join(r.words, " ")
}

func (r *renderer) say(format string, args ...any) {
	if s := strings.TrimSpace(fmt.Sprintf(format, args...)); s != "" {
		r.words = append(r.words, s)
	}
}

func (r *renderer) expression(e Expression) {
	lower := r.lower
	r.lower = nil
	switch x := e.Expr.(type) {
	case *expr.Meta:
		if x.SourceRegister {
			name := metaName(x.Key)
			if !strings.HasPrefix(name, "meta ") {
				name = "meta " + name
			}
			r.say("%s set %s", name, r.constant(x.Register, name))
			return
		}
		r.load(load{register: x.Register, name: metaName(x.Key)})
	case *expr.Ct:
		if x.SourceRegister {
			name := ctName(x)
			r.say("%s set %s", name, r.constant(x.Register, name))
			return
		}
		r.load(load{register: x.Register, name: ctName(x)})
	case *expr.Payload:
		name, suffix := r.payloadName(x)
		if x.OperationType == expr.PayloadWrite {
			r.say("%s set %s", name, r.constant(x.SourceRegister, name))
			return
		}
		r.load(load{register: x.DestRegister, name: name, suffix: suffix})
	case *expr.Fib:
		r.load(load{register: x.Register, name: fibName(x)})
	case *expr.Exthdr:
		if x.SourceRegister == 0 {
			r.load(load{register: x.DestRegister, name: fmt.Sprintf("exthdr %d offset %d", x.Type, x.Offset)})
			return
		}
		r.say("exthdr %d offset %d set %s", x.Type, x.Offset, r.constant(x.SourceRegister, ""))
	case *expr.Numgen:
		r.load(load{register: x.Register, name: fmt.Sprintf("numgen %s mod %d", map[bool]string{true: "inc", false: "random"}[x.Type == 0], x.Modulus)})
	case *expr.Immediate:
		r.load(load{register: x.Register, data: x.Data})
	case *expr.Bitwise:
		r.bitwise(x)
	case *expr.Cmp:
		r.cmp(x, lower)
	case *expr.Range:
		l := r.take(x.Register)
		r.compare(l, x.Op, value(l.name, x.FromData)+"-"+value(l.name, x.ToData))
	case *expr.Lookup:
		left := r.takeAll()
		set := r.sets.find(r.in, x.SetName)
		r.left(left)
		r.say("%s %s", left, set.lookupText(left, x))
	default:
		r.statement(e)
	}
}

// cmp says a comparison. Two of one field are the ends of a range.
func (r *renderer) cmp(x *expr.Cmp, lower *lowerEnd) {
	if lower != nil && lower.register == x.Register && x.Op == expr.CmpOpLte {
		r.words = r.words[:lower.words]
		r.compare(lower.load, expr.CmpOpEq, lower.value+"-"+value(lower.name, x.Data))
		return
	}
	l := r.take(x.Register)
	v := value(l.name, x.Data)
	r.compare(l, x.Op, v)
	if x.Op == expr.CmpOpGte {
		r.lower = &lowerEnd{l, v, len(r.words) - 1}
	}
	if (l.name == "meta l4proto" || l.name == "ip protocol" || l.name == "ip6 nexthdr") && x.Op == expr.CmpOpEq {
		r.protocol = v
	}
}

func (r *renderer) load(l load) {
	r.take(l.register)
	r.loads = append(r.loads, l)
}

// take returns what a register holds, and empties it.
func (r *renderer) take(register uint32) load {
	for i, l := range r.loads {
		if l.register == register {
			r.loads = append(r.loads[:i:i], r.loads[i+1:]...)
			return l
		}
	}
	return load{register: register}
}

// takeAll returns the fields of a concatenation.
func (r *renderer) takeAll() string {
	var names []string
	for _, l := range r.loads {
		if l.name != "" {
			names = append(names, l.name)
		}
	}
	r.loads = nil
	return strings.Join(names, " . ")
}

// constant shows the value that a statement sets.
func (r *renderer) constant(register uint32, as string) string {
	l := r.take(register)
	if l.data == nil {
		return l.name
	}
	return value(as, l.data)
}

func (r *renderer) bitwise(x *expr.Bitwise) {
	l := r.take(x.SourceRegister)
	l.register = x.DestRegister
	if ones, bits := net.IPMask(x.Mask).Size(); bits > 0 && strings.HasSuffix(l.name, "addr") {
		l.suffix = fmt.Sprintf("/%d", ones)
	} else {
		l.mask = x.Mask
	}
	r.loads = append(r.loads, l)
}

// compare says a comparison; of flags with zero it names the flags.
func (r *renderer) compare(l load, op expr.CmpOp, v string) {
	r.left(l.name)
	switch {
	case l.name == "":
	case l.mask == nil:
		r.say("%s%s %s%s", l.name, operator(op), v, l.suffix)
	case flagged(l.name) && op == expr.CmpOpNeq:
		r.say("%s %s", l.name, value(l.name, l.mask))
	case flagged(l.name) && strings.Trim(v, "0x") == "":
		r.say("%s ! %s", l.name, value(l.name, l.mask))
	case flagged(l.name):
		r.say("%s%s %s / %s", l.name, operator(op), v, value(l.name, l.mask))
	default:
		r.say("%s & %s%s %s", l.name, value(l.name, l.mask), orEqual(operator(op)), v)
	}
}

func orEqual(operator string) string {
	if operator == "" {
		return " =="
	}
	return operator
}

// left drops the words before a field that the field says too: `meta l4proto tcp`
// before `tcp dport`, and `meta nfproto ipv4` before `ip saddr`.
func (r *renderer) left(name string) {
	var implied []string
	for f := range strings.SplitSeq(name, " . ") {
		protocol, _, _ := strings.Cut(f, " ")
		switch protocol {
		case "ip", "icmp":
			implied = append(implied, "meta nfproto ipv4", "meta protocol ip")
		case "ip6", "icmpv6":
			implied = append(implied, "meta nfproto ipv6", "meta protocol ip6")
		}
		if protocol != "" && protocol == r.protocol {
			implied = append(implied, "meta l4proto "+protocol)
		}
	}
	for len(r.words) > 0 && slices.Contains(implied, r.words[len(r.words)-1]) {
		r.words = r.words[:len(r.words)-1]
	}
}

func operator(op expr.CmpOp) string {
	switch op {
	case expr.CmpOpNeq:
		return " !="
	case expr.CmpOpLt:
		return " <"
	case expr.CmpOpLte:
		return " <="
	case expr.CmpOpGt:
		return " >"
	case expr.CmpOpGte:
		return " >="
	}
	return ""
}
