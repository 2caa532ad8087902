package facts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// nftDump is the part of the kernel's nftables that forwarded packets meet.
type nftDump struct {
	bases []*nftables.Chain
	// nats are the base chains that translate addresses on the postrouting hook.
	nats   []*nftables.Chain
	chains map[chainKey]*nftables.Chain
	rules  map[chainKey][]*nftables.Rule
	// jumps are the chains that a verdict map of a table leads to.
	jumps map[setKey][]expr.Verdict
}

type chainKey struct {
	family      nftables.TableFamily
	table, name string
}

// setKey names a verdict map.
type setKey = chainKey

func keyOf(c *nftables.Chain) chainKey {
	return chainKey{c.Table.Family, c.Table.Name, c.Name}
}

// dumpNFT reads the base chains on the forward hook and what is in their reach.
func dumpNFT() (dump *nftDump, err error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer func() { err = errors.Join(err, conn.CloseLasting()) }()
	all, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list chains: %w", err)
	}
	dump = &nftDump{
		chains: map[chainKey]*nftables.Chain{}, rules: map[chainKey][]*nftables.Rule{}, jumps: map[setKey][]expr.Verdict{},
	}
	for _, c := range all {
		dump.chains[keyOf(c)] = c
		if onForwardHook(c) {
			dump.bases = append(dump.bases, c)
		}
		if translatesSources(c) {
			dump.nats = append(dump.nats, c)
		}
	}
	for _, base := range slices.Concat(dump.bases, dump.nats) {
		if err := dump.read(conn, base); err != nil {
			return nil, err
		}
	}
	return dump, nil
}

// onForwardHook says whether c is a base chain that filters forwarded packets.
// The numbers of the hooks are the same in all families but netdev and arp.
func onForwardHook(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward && c.Type == nftables.ChainTypeFilter && familyName(c.Table.Family) != ""
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	case nftables.TableFamilyBridge:
		return "bridge"
	}
	return ""
}

// read takes in the rules of c and of every chain in its reach.
func (d *nftDump) read(conn *nftables.Conn, c *nftables.Chain) error {
	if _, done := d.rules[keyOf(c)]; done {
		return nil
	}
	rules, err := conn.GetRules(c.Table, c)
	if err != nil {
		return fmt.Errorf("list rules of %s %s %s: %w", familyName(c.Table.Family), c.Table.Name, c.Name, err)
	}
	d.rules[keyOf(c)] = rules
	for _, r := range rules {
		if err := d.readMaps(conn, c.Table, r); err != nil {
			return err
		}
		for _, next := range d.targets(c.Table, r) {
			if err := d.read(conn, next); err != nil {
				return err
			}
		}
	}
	return nil
}

// readMaps takes in the verdict maps that a rule looks up.
func (d *nftDump) readMaps(conn *nftables.Conn, t *nftables.Table, r *nftables.Rule) error {
	for _, e := range r.Exprs {
		lookup, ok := e.(*expr.Lookup)
		if !ok || !lookup.IsDestRegSet {
			continue
		}
		key := setKey{t.Family, t.Name, lookup.SetName}
		if _, done := d.jumps[key]; done {
			continue
		}
		elements, err := conn.GetSetElements(&nftables.Set{Table: t, Name: lookup.SetName, IsMap: true})
		if err != nil {
			return fmt.Errorf("list elements of map %s in table %s: %w", lookup.SetName, t.Name, err)
		}
		d.jumps[key] = []expr.Verdict{}
		for _, element := range elements {
			v, err := decodeVerdict(element.Val)
			if err != nil {
				return fmt.Errorf("read an element of map %s in table %s: %w", lookup.SetName, t.Name, err)
			}
			d.jumps[key] = append(d.jumps[key], v)
		}
	}
	return nil
}

// decodeVerdict reads the verdict of a map's element, which the library hands
// on as it came: the attributes NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN.
func decodeVerdict(raw []byte) (expr.Verdict, error) {
	var v expr.Verdict
	attributes, err := netlink.NewAttributeDecoder(raw)
	if err != nil {
		return v, fmt.Errorf("decode verdict: %w", err)
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_VERDICT_CODE:
			v.Kind = expr.VerdictKind(int32(attributes.Uint32()))
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = attributes.String()
		}
	}
	if err := attributes.Err(); err != nil {
		return v, fmt.Errorf("decode verdict: %w", err)
	}
	return v, nil
}

// verdicts are those that a rule can come to.
func (d *nftDump) verdicts(t *nftables.Table, r *nftables.Rule) []expr.Verdict {
	var out []expr.Verdict
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			out = append(out, *e)
		case *expr.Lookup:
			out = append(out, d.jumps[setKey{t.Family, t.Name, e.SetName}]...)
		}
	}
	return out
}

// targets are the chains that a rule jumps to.
func (d *nftDump) targets(t *nftables.Table, r *nftables.Rule) []*nftables.Chain {
	var out []*nftables.Chain
	for _, v := range d.verdicts(t, r) {
		if v.Kind != expr.VerdictJump && v.Kind != expr.VerdictGoto {
			continue
		}
		if c, ok := d.chains[chainKey{t.Family, t.Name, v.Chain}]; ok {
			out = append(out, c)
		}
	}
	return out
}

// forward shows a base chain with the dropping rules in its reach.
func (d *nftDump) forward(base *nftables.Chain) model.ForwardChain {
	out := model.ForwardChain{
		Backend: backendPlain, Family: familyName(base.Table.Family), Table: base.Table.Name, Chain: base.Name, Policy: "ACCEPT",
	}
	if base.Policy != nil && *base.Policy == nftables.ChainPolicyDrop {
		out.Policy = "DROP"
	}
	_, out.DockerUser = d.chains[chainKey{base.Table.Family, base.Table.Name, dockerUser}]
	seen := map[chainKey]bool{}
	var visit func(c *nftables.Chain)
	visit = func(c *nftables.Chain) {
		if seen[keyOf(c)] {
			return
		}
		seen[keyOf(c)] = true
		for _, r := range d.rules[keyOf(c)] {
			if rule, drops := d.dropRule(c, r); drops {
				out.Drops = append(out.Drops, rule)
			}
			for _, next := range d.targets(c.Table, r) {
				visit(next)
			}
		}
	}
	visit(base)
	return out
}

// dropRule shows a rule that drops or rejects.
func (d *nftDump) dropRule(c *nftables.Chain, r *nftables.Rule) (model.DropRule, bool) {
	out := model.DropRule{Chain: c.Name, Rule: RuleText(r.Exprs)}
	drops := false
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter:
			out.Packets, out.Bytes = e.Packets, e.Bytes
		case *expr.Reject:
			drops = true
		case *expr.Target:
			drops = drops || e.Name == "REJECT" || e.Name == "DROP"
		}
	}
	for _, v := range d.verdicts(c.Table, r) {
		drops = drops || v.Kind == expr.VerdictDrop
	}
	return out, drops
}
