package facts_test

import (
	"testing"

	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/facts"
)

func TestRuleText(t *testing.T) {
	t.Parallel()
	meta := func(k expr.MetaKey) expr.Any { return &expr.Meta{Key: k, Register: 1} }
	is := func(data ...byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
	not := func(data string) expr.Any { return &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte(data)} }
	load := func(base expr.PayloadBase, offset, length uint32) expr.Any {
		return &expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: length}
	}
	const network, transport = expr.PayloadBaseNetworkHeader, expr.PayloadBaseTransportHeader
	drop := &expr.Verdict{Kind: expr.VerdictDrop}
	for text, exprs := range map[string][]expr.Any{
		"":             nil,
		"counter drop": {&expr.Counter{}, drop},
		`iifname "lxd*" oifname != "eth0" reject`: {meta(expr.MetaKeyIIFNAME), is('l', 'x', 'd'), meta(expr.MetaKeyOIFNAME), not("eth0\x00\x00"), &expr.Reject{}},
		"ip saddr 10.0.0.0/8 drop":                {load(network, 12, 1), is(10), drop},
		"ip daddr 10.16.0.0/12 drop":              {load(network, 16, 4), &expr.Bitwise{Mask: []byte{255, 240, 0, 0}}, is(10, 16, 0, 0), drop},
		"ip saddr 10.0.0.1":                       {load(network, 12, 4), is(10, 0, 0, 1)},
		"ip6 daddr fd00::/16":                     {load(network, 24, 2), is(0xfd, 0)},
		"meta nfproto ipv6 th dport 443":          {meta(expr.MetaKeyNFPROTO), is(10), load(transport, 2, 2), is(1, 187)},
		"meta l4proto tcp th sport 0x00":          {meta(expr.MetaKeyL4PROTO), is(6), load(transport, 0, 2), is(0)},
		"ct state established,related accept": {
			&expr.Ct{Key: expr.CtKeySTATE}, &expr.Bitwise{Mask: []byte{6, 0, 0, 0}}, not("\x00\x00\x00\x00"), &expr.Verdict{Kind: expr.VerdictAccept},
		},
		"th dport @web jump x":              {load(transport, 2, 2), &expr.Lookup{SetName: "web"}, &expr.Verdict{Kind: expr.VerdictJump, Chain: "x"}},
		"iifname vmap @in":                  {meta(expr.MetaKeyIIFNAME), &expr.Lookup{SetName: "in", IsDestRegSet: true}},
		"payload@1,0,8 0x45 <limit> drop":   {load(network, 0, 1), is(0x45), &expr.Limit{}, drop},
		"xt match comment xt target REJECT": {&expr.Match{Name: "comment"}, &expr.Target{Name: "REJECT"}},
	} {
		require.Equal(t, text, facts.RuleText(exprs))
	}
}
