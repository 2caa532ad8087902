package remedy

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// planAcceptBefore accepts packets right before a rule, or before a chain's policy: by
// iptables where the table is of iptables, which could not read what others write there.
func planAcceptBefore(ctx context.Context, parameters map[string]string) ([]record, error) {
	family, table, _ := strings.Cut(parameters["table"], " ")
	handle, _ := strconv.ParseUint(parameters["handle"], 10, 64) // was checked; 0 is the policy
	if strings.HasSuffix(parameters["program"], "-"+catalogue.Legacy) {
		return planLegacyAccept(parameters, table, int(handle))
	}
	view, err := ruleset.Read(ctx, ruleset.Options{})
	if err != nil {
		return nil, fmt.Errorf("read the rule set: %w", err)
	}
	at, ok := view.Locate(ruleset.Family(family), table, parameters["chain"], handle)
	if !ok {
		return nil, fmt.Errorf("there is no such rule in %s %s any more (handle %d): the rules were rewritten; diagnose again, or find it with `nft -a list ruleset`",
			parameters["table"], parameters["chain"], handle)
	}
	if at.Table.Owned {
		return nil, fmt.Errorf("the table %s is a process' own, and the kernel lets nobody else change it: add the rule by that program", parameters["table"])
	}
	xtables := at.Table.XTables && (family == "ip" || family == "ip6")
	if xtables {
		// Where a rule of another program is in the chain iptables adds to what it cannot
		// read, and would not find it again.
		if xtables, err = iptablesOf(at).reads(parameters["chain"], table); err != nil {
			return nil, err
		}
	}
	var steps []record
	for n, m := range catalogue.Matches(parameters) {
		if xtables {
			steps = append(steps, record{Rule: xtablesAccept(at, m)})
			continue
		}
		exprs, err := acceptExprs(ruleset.Family(family), m)
		if err != nil {
			return nil, err
		}
		steps = append(steps, record{Inserted: &inserted{
			Family: nftables.TableFamily(familyNumbers[ruleset.Family(family)]), Table: table, Chain: parameters["chain"],
			Comment: mark(handle, n, m.NFT(family)), before: handle, last: handle == 0,
			exprs: exprs, text: m.NFT(family),
		}})
	}
	return steps, nil
}

// planLegacyAccept accepts packets before a rule of iptables-legacy, by its number, or before
// the policy of its chain.
func planLegacyAccept(parameters map[string]string, table string, number int) ([]record, error) {
	v := variant{Program: parameters["program"], V6: strings.HasPrefix(parameters["program"], "ip6")}
	chain := parameters["chain"]
	tables, err := v.openTable(table)
	if err != nil {
		return nil, err
	}
	rules, err := tables.List(table, chain)
	if err != nil {
		return nil, fmt.Errorf("list chain %s of the table %s with %s: %w", chain, table, v.Program, err)
	}
	if number >= len(rules) { // the first line is the chain
		return nil, fmt.Errorf("there is no rule %d in chain %s of the table %s any more: the rules were rewritten; diagnose again, or find it with `%s -t %s -S %s`",
			number, chain, table, v.Program, table, chain)
	}
	var steps []record
	for _, m := range catalogue.Matches(parameters) {
		steps = append(steps, record{Rule: &rule{variant: v, Table: table, Chain: chain, Words: m.IPTables(), index: number, last: number == 0}})
	}
	return steps, nil
}

// mark tells a rule of this remedy from those of others at the same place.
func mark(handle uint64, n int, text string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(text)) // never fails
	return fmt.Sprintf("nestlab accept-before %d %d %08x", handle, n+1, sum.Sum32())
}

// familyNumbers are the kernel's.
var familyNumbers = map[ruleset.Family]nftables.TableFamily{
	ruleset.IP: nftables.TableFamilyIPv4, ruleset.IP6: nftables.TableFamilyIPv6, ruleset.INet: nftables.TableFamilyINet,
	ruleset.Bridge: nftables.TableFamilyBridge, ruleset.Netdev: nftables.TableFamilyNetdev, ruleset.ARP: nftables.TableFamilyARP,
}

// iptablesOf is the program of a table of iptables.
func iptablesOf(at ruleset.Location) variant {
	if at.Table.Family == ruleset.IP6 {
		return variant{Program: "ip6tables-nft", V6: true}
	}
	return variant{Program: "iptables-nft"}
}

func xtablesAccept(at ruleset.Location, m catalogue.Match) *rule {
	r := &rule{variant: iptablesOf(at), Table: at.Table.Name, Chain: at.Chain.ChainID.Chain, Words: m.IPTables(), last: at.Rule == nil}
	if at.Rule != nil {
		r.index = at.Rule.Index + 1
	}
	return r
}

// acceptExprs are the expressions of a rule that accepts a match in a table of a family.
func acceptExprs(family ruleset.Family, m catalogue.Match) ([]expr.Any, error) {
	in, out := expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME
	if family == ruleset.Bridge {
		in, out = expr.MetaKeyBRIIIFNAME, expr.MetaKeyBRIOIFNAME
	}
	var exprs []expr.Any
	if m.In != "" {
		exprs = append(exprs, meta(in, device(m.In))...)
	}
	if m.Out != "" {
		exprs = append(exprs, meta(out, device(m.Out))...)
	}
	for _, end := range []struct {
		text   string
		source bool
	}{{m.From, true}, {m.To, false}} {
		if end.text == "" {
			continue
		}
		network, err := catalogue.ParseNetwork(end.text)
		if err != nil {
			return nil, fmt.Errorf("read an address: %w", err)
		}
		exprs = append(exprs, versionOf(family, network.Addr())...)
		exprs = append(exprs, address(end.source, network, expr.CmpOpEq)...)
	}
	service, err := serviceExprs(m)
	if err != nil {
		return nil, err
	}
	exprs = append(exprs, service...)
	if m.Answers {
		mask := make([]byte, 4)
		binary.NativeEndian.PutUint32(mask, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
		exprs = append(exprs, &expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)})
	}
	return append(exprs, &expr.Verdict{Kind: expr.VerdictAccept}), nil
}

// serviceExprs match the protocol with its port, or ICMP's type.
func serviceExprs(m catalogue.Match) ([]expr.Any, error) {
	switch m.Protocol {
	case "":
		return nil, nil
	case catalogue.ARP:
		return meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP)), nil
	}
	exprs := meta(expr.MetaKeyL4PROTO, []byte{protocols[m.Protocol]})
	if m.Port == "" {
		return exprs, nil
	}
	at, bits := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, 16
	if m.HasTypes() {
		at.Offset, at.Len, bits = 0, 1, 8
	}
	number, err := strconv.ParseUint(m.Port, 10, bits)
	if err != nil {
		return nil, fmt.Errorf("read a port: %w", err)
	}
	data := binary.BigEndian.AppendUint16(nil, uint16(number))
	return append(exprs, at, equal(data[2-at.Len:])), nil
}

var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": unix.IPPROTO_ICMP, "ipv6-icmp": unix.IPPROTO_ICMPV6}

// versionOf matches the version of IP in tables that have packets of both, or of none.
func versionOf(family ruleset.Family, a netip.Addr) []expr.Any {
	number, kind := byte(unix.NFPROTO_IPV4), uint16(unix.ETH_P_IP)
	if a.Is6() {
		number, kind = unix.NFPROTO_IPV6, unix.ETH_P_IPV6
	}
	switch family {
	case ruleset.INet:
		return meta(expr.MetaKeyNFPROTO, []byte{number})
	case ruleset.Bridge, ruleset.Netdev:
		return meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, kind))
	}
	return nil
}

func planInterfaceForwarding(_ context.Context, parameters map[string]string) ([]record, error) {
	return planConf(parameters["interface"], "forwarding", "1")
}

func planRPFilter(_ context.Context, parameters map[string]string) ([]record, error) {
	return planConf(parameters["interface"], "rp_filter", "2")
}

// planConf sets one of an interface's own settings.
func planConf(name, setting, to string) ([]record, error) {
	if _, err := findLink(name); err != nil {
		return nil, err
	}
	r, err := change("net/ipv4/conf/"+name+"/"+setting, to)
	if err != nil {
		return nil, err
	}
	if r.Setting.Before == to {
		return nil, fmt.Errorf("%s of %s is %s already: %w", setting, name, to, ErrNothing)
	}
	return []record{r}, nil
}

func planConntrack(_ context.Context, parameters map[string]string) ([]record, error) {
	r, err := change("net/netfilter/nf_conntrack_max", parameters["max"])
	if err != nil {
		return nil, err
	}
	return []record{r}, nil
}
