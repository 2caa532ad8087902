package remedy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// ownTable is an nftables table of nestlab's own, made in one transaction.
type ownTable struct {
	Family nftables.TableFamily `json:"family"`
	Name   string               `json:"name"`

	chain *nftables.Chain
	rules [][]expr.Any
}

func (t *ownTable) String() string { return "nftables table " + t.Name }
func (t *ownTable) lasts() bool    { return false }
func (t *ownTable) over() string   { return "" }

func (t *ownTable) do(context.Context, func() error) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	t.chain.Table = conn.AddTable(&nftables.Table{Family: t.Family, Name: t.Name})
	conn.AddChain(t.chain)
	for _, exprs := range t.rules {
		conn.AddRule(&nftables.Rule{Table: t.chain.Table, Chain: t.chain, Exprs: exprs})
	}
	return conn.Flush()
}

func (t *ownTable) undo(ctx context.Context) error {
	there, err := t.in(ctx)
	if err != nil || !there {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	conn.DelTable(&nftables.Table{Family: t.Family, Name: t.Name})
	return conn.Flush()
}

func (t *ownTable) in(context.Context) (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("open netlink: %w", err)
	}
	all, err := conn.ListTablesOfFamily(t.Family)
	if err != nil {
		return false, fmt.Errorf("list nftables' tables (root? nftables in the kernel?): %w", err)
	}
	for _, x := range all {
		if x.Name == t.Name {
			return true, nil
		}
	}
	return false, nil
}

// plan plans the table; one of its name that is there already is not touched.
func (t *ownTable) plan(ctx context.Context) ([]record, error) {
	there, err := t.in(ctx)
	if err != nil {
		return nil, err
	}
	if there {
		return nil, fmt.Errorf("the nftables table %s is there already; remove it with `nft delete table`, or revert with the journal that names it", t.Name)
	}
	return []record{{Table: t}}, nil
}

// hook is the name of a base chain's place.
func hook(name string, kind nftables.ChainType, at *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	return &nftables.Chain{Name: name, Type: kind, Hooknum: at, Priority: priority}
}

// equal compares what was loaded last.
func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func meta(key expr.MetaKey, data []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(data)}
}

// device is an interface's name as rules hold it.
func device(name string) []byte {
	out := make([]byte, unix.IFNAMSIZ)
	copy(out, name)
	return out
}

// address compares a source or destination address with a network.
func address(source bool, network netip.Prefix, op expr.CmpOp) []expr.Any {
	ip := network.Addr().AsSlice()
	offset, length := uint32(16), uint32(4)
	if network.Addr().Is6() {
		offset, length = 24, 16
	}
	if source {
		offset -= length
	}
	mask := make([]byte, length)
	for i := range network.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask, Xor: make([]byte, length)},
		&expr.Cmp{Op: op, Register: 1, Data: ip},
	}
}

func planNAT(ctx context.Context, parameters map[string]string) ([]record, error) {
	network, err := netip.ParsePrefix(parameters["subnet"])
	if err != nil {
		return nil, fmt.Errorf("read the subnet: %w", err)
	}
	t := &ownTable{
		Family: nftables.TableFamilyIPv4, Name: catalogue.Table(catalogue.NATOn, parameters["subnet"]),
		// Before the chains of others: the first that translates a connection is the one.
		chain: hook("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource-1)),
	}
	if network.Addr().Is6() {
		t.Family = nftables.TableFamilyIPv6
	}
	exprs := append(address(true, network, expr.CmpOpEq), address(false, network, expr.CmpOpNeq)...)
	if out := parameters["out"]; out != "" {
		if _, err := findLink(out); err != nil {
			return nil, err
		}
		exprs = append(exprs, meta(expr.MetaKeyOIFNAME, device(out))...)
	}
	t.rules = [][]expr.Any{append(exprs, &expr.Masq{})}
	return t.plan(ctx)
}

func planClamp(ctx context.Context, parameters map[string]string) ([]record, error) {
	mtu, err := strconv.Atoi(parameters["mtu"])
	if err != nil {
		return nil, fmt.Errorf("read the MTU: %w", err)
	}
	t := &ownTable{
		Family: nftables.TableFamilyINet, Name: catalogue.Table(catalogue.MTUMatch, parameters["interface"]),
		chain: hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityMangle),
	}
	for _, direction := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
		for _, v6 := range []bool{false, true} {
			t.rules = append(t.rules, clamp(direction, parameters["interface"], v6, catalogue.SegmentSize(mtu, v6)))
		}
	}
	return t.plan(ctx)
}

// clamp lowers the segment size that a connection's first packets announce; the
// kernel never raises it (net/netfilter/nft_exthdr.c).
func clamp(direction expr.MetaKey, name string, v6 bool, size int) []expr.Any {
	const synOrRst, syn = 0x06, 0x02
	protocol := byte(unix.NFPROTO_IPV4)
	if v6 {
		protocol = unix.NFPROTO_IPV6
	}
	exprs := append(meta(direction, device(name)), meta(expr.MetaKeyNFPROTO, []byte{protocol})...)
	exprs = append(exprs, meta(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP})...)
	return append(exprs,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{synOrRst}, Xor: []byte{0}},
		equal([]byte{syn}),
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, uint16(size))},
		&expr.Exthdr{SourceRegister: 1, Type: 2, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	)
}

// redirect sends DNS queries that come in through a bridge to another port here.
func redirect(bridge string, port uint16) *ownTable {
	t := &ownTable{
		Family: nftables.TableFamilyIPv4, Name: catalogue.Table(catalogue.DNSForwarder, bridge),
		chain: hook("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest),
	}
	for _, protocol := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		exprs := append(meta(expr.MetaKeyIIFNAME, device(bridge)), meta(expr.MetaKeyL4PROTO, []byte{protocol})...)
		t.rules = append(t.rules, append(exprs,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			equal(binary.BigEndian.AppendUint16(nil, 53)),
			&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
			&expr.Redir{RegisterProtoMin: 1},
		))
	}
	return t
}
