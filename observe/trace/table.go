package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// The priorities of the own chains: before and after all others. The first and last
// places are the kernel's own.
const (
	first = math.MinInt32 + 10
	last  = math.MaxInt32 - 10
)

// table is the tracer's own table, one of its name in each family.
type table struct {
	owner   owner
	name    string
	flows   []observe.Flow
	bridges map[string][]string
	devices []string
	rate    uint32
	// starts are the rules that start a trace, by chain and handle.
	starts map[startKey]start
}

type startKey struct {
	family ruleset.Family
	handle uint64
}

// start is what a rule that starts a trace selects.
type start struct {
	flow  int
	reply bool
	hook  ruleset.Hook
	rank  int
}

func newTable(me owner, name string, flows []observe.Flow, bridges map[string][]string, devices []string, rate uint32) *table {
	return &table{owner: me, name: name, flows: flows, bridges: bridges, devices: devices, rate: rate, starts: map[startKey]start{}}
}

// needs reports whether there is anything to trace in a family. Bridges come and go,
// so there is a table for them where there is none yet.
func (t *table) needs(family ruleset.Family) bool {
	switch family {
	case ruleset.Netdev:
		return len(t.devices) > 0 // ingress is of a device, and most have no chain there
	case ruleset.ARP:
		return slices.ContainsFunc(t.flows, observe.Flow.Is4)
	}
	return true
}

// rank orders the hooks on which a trace starts along the way of a packet: coming
// in it meets ingress, the bridge and IP in this order; going out IP and then the bridge.
func rank(family ruleset.Family, hook ruleset.Hook) int {
	switch {
	case hook == ruleset.Ingress:
		return 0
	case family == ruleset.Bridge && hook == ruleset.Output:
		return 3
	case family == ruleset.Bridge:
		return 1
	}
	return 2
}

// chain is one of the table's chains.
type chain struct {
	name   string
	hook   ruleset.Hook
	starts bool
	device string
}

const endSuffix = "_end"

// chains are those of a family: the first on each hook that packets come in by, and
// the last on each hook.
func (t *table) chains(family ruleset.Family) []chain {
	var out []chain
	switch family {
	case ruleset.Netdev:
		for i, d := range t.devices {
			out = append(out, chain{fmt.Sprintf("%s%d", ruleset.Ingress, i), ruleset.Ingress, true, d})
		}
		return out
	case ruleset.ARP:
		for _, hook := range []ruleset.Hook{ruleset.Input, ruleset.Output} {
			out = append(out, chain{string(hook), hook, true, ""}, chain{string(hook) + endSuffix, hook, false, ""})
		}
		return out
	}
	for _, hook := range []ruleset.Hook{ruleset.Prerouting, ruleset.Output} {
		out = append(out, chain{string(hook), hook, true, ""})
	}
	for _, hook := range []ruleset.Hook{ruleset.Prerouting, ruleset.Input, ruleset.Forward, ruleset.Output, ruleset.Postrouting} {
		out = append(out, chain{string(hook) + endSuffix, hook, false, ""})
	}
	return out
}

// rulesOf are the rules of a chain in their order, each with what it selects.
func (t *table) rulesOf(family ruleset.Family, c chain) (rules [][]expr.Any, selects []start) {
	if !c.starts {
		return nil, nil
	}
	s := selector{family: family, ports: t.bridges, rate: t.rate}
	for i, f := range t.flows {
		for _, reply := range []bool{false, true} {
			for _, exprs := range s.rules(f, reply, c.hook) {
				rules = append(rules, exprs)
				selects = append(selects, start{i, reply, c.hook, rank(family, c.hook)})
			}
		}
	}
	return rules, selects
}

// build adds the table of a family to a transaction.
func (t *table) build(b *batch, family ruleset.Family, flags uint32) {
	comment := fmt.Sprintf("nestlab's trace, by process %d started at tick %d; goes with it", t.owner.pid, t.owner.started)
	b.addTable(family, t.name, comment, flags)
	for _, c := range t.chains(family) {
		at := hookPoint{priority: last, device: c.device}
		at.number, _ = c.hook.Number(family)
		if c.starts {
			at.priority = first
		}
		b.addChain(family, t.name, c.name, at)
		rules, _ := t.rulesOf(family, c)
		for _, exprs := range rules {
			b.addRule(family, t.name, c.name, exprs)
		}
	}
}

// learn asks the kernel for the handles of the table's rules.
func (t *table) learn(conn *netlink.Conn, family ruleset.Family) error {
	for _, c := range t.chains(family) {
		_, selects := t.rulesOf(family, c)
		handles, err := t.handles(conn, family, c.name)
		if err != nil {
			return fmt.Errorf("list the rules of %s %s %s: %w", family, t.name, c.name, err)
		}
		if len(handles) != len(selects) {
			return fmt.Errorf("list the rules of %s %s %s: there are %d, %d were made; does something else change it?", family, t.name, c.name, len(handles), len(selects))
		}
		for i, h := range handles {
			t.starts[startKey{family, h}] = selects[i]
		}
	}
	return nil
}

func (t *table) handles(conn *netlink.Conn, family ruleset.Family, chain string) (out []uint64, err error) {
	which, err := netlink.MarshalAttributes([]netlink.Attribute{text(unix.NFTA_RULE_TABLE, t.name), text(unix.NFTA_RULE_CHAIN, chain)})
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	all, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: subsystem | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append(head(family.Number(), 0), which...),
	})
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if len(m.Data) < 4 {
			return nil, errors.New("a rule without its header")
		}
		ad, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return nil, err
		}
		ad.ByteOrder = binary.BigEndian
		for ad.Next() {
			if ad.Type() == unix.NFTA_RULE_HANDLE {
				out = append(out, ad.Uint64())
			}
		}
		if err := ad.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
