package faults

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is a table of rules that a fault adds to a network namespace. Its name
// can be read in the runner, so it says what an administrator would say.
type ruleset struct {
	name   string
	chains []ruleChain
}

// ruleChain is one base chain with the policy ACCEPT.
type ruleChain struct {
	name     string
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	rules    [][]expr.Any
}

// place is where a ruleset is put: Lab's InRunner or InInternet.
type place func(f func() error) error

// put adds the rules; Restore removes the table, if it is there.
func (r ruleset) put(in place) (Restore, error) {
	if err := in(r.add); err != nil {
		return nil, err
	}
	return func(context.Context) error { return in(r.remove) }, nil
}

func (r ruleset) add() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: r.name})
	for _, chain := range r.chains {
		added := c.AddChain(&nftables.Chain{
			Name: chain.name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: chain.hook, Priority: chain.priority,
		})
		for _, exprs := range chain.rules {
			c.AddRule(&nftables.Rule{Table: table, Chain: added, Exprs: exprs})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("add the nftables table %s: %w", r.name, err)
	}
	return nil
}

func (r ruleset) remove() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: r.name})
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the nftables table %s: %w", r.name, err)
	}
	return nil
}

// rule puts the parts of a rule together.
func rule(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

// drop counts and drops.
func drop() []expr.Any {
	return []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
}

// reset counts and answers with a TCP reset.
func reset() []expr.Any {
	return []expr.Any{&expr.Counter{}, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}
}

// link matches the interface that a packet came from or goes to, or all but it.
func link(key expr.MetaKey, op expr.CmpOp, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: padded}}
}

func from(name string) []expr.Any    { return link(expr.MetaKeyIIFNAME, expr.CmpOpEq, name) }
func notFrom(name string) []expr.Any { return link(expr.MetaKeyIIFNAME, expr.CmpOpNeq, name) }
func to(name string) []expr.Any      { return link(expr.MetaKeyOIFNAME, expr.CmpOpEq, name) }

// transport matches a transport protocol and a destination port.
func transport(protocol byte, port uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
	}
}

// family matches IPv4 or IPv6.
func family(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

// ttlBelow matches IPv4 packets that were forwarded often enough.
func ttlBelow(n byte) []expr.Any {
	return rule(family(unix.NFPROTO_IPV4), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 8, Len: 1},
		&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: []byte{n}},
	})
}

// longerThan matches packets of more than n bytes, IP header included.
func longerThan(n uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
		// Big-endian, as the kernel compares bytes.
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, n)},
	}
}
