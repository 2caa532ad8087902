package route

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// walk goes through the rules that fit a packet, as the kernel does, until visit
// returns true. Rules of VRFs are left out: what is in one is not looked at.
func walk(rules []Rule, p Packet, visit func(*Rule) (bool, error)) error {
	skip := 0 // to the target of a goto
	for i := range rules {
		r := &rules[i]
		if r.Priority < skip || r.VRF || !r.Matches(p) {
			continue
		}
		if r.Goto != 0 {
			skip = r.Goto
			continue
		}
		if done, err := visit(r); done || err != nil {
			return err
		}
	}
	return nil
}

// selected returns the rule that led to a table, nil if the rules do not tell.
func selected(rules []Rule, p Packet, table int) (*Rule, error) {
	var found *Rule
	err := walk(rules, p, func(r *Rule) (bool, error) {
		if r.Kind != Unicast || r.Table != table {
			return false, nil
		}
		if r.SuppressPrefix >= 0 {
			_, bits, err := look(r.Table, p.Tuple.Destination.Addr())
			if err != nil || bits <= r.SuppressPrefix {
				return false, err
			}
		}
		found = r
		return true, nil
	})
	return found, err
}

// refusal is a rule that refuses, or that leads to a table whose route does.
type refusal struct {
	rule *Rule
	kind Kind
}

// refusing returns what refuses a packet; nil where no rule and no route does.
func refusing(rules []Rule, p Packet) (*refusal, error) {
	var found *refusal
	err := walk(rules, p, func(r *Rule) (bool, error) {
		if r.Kind != Unicast {
			if r.Kind != "" {
				found = &refusal{r, r.Kind}
			}
			return found != nil, nil
		}
		kind, bits, err := look(r.Table, p.Tuple.Destination.Addr())
		if err != nil || kind == NoRoute || bits <= r.SuppressPrefix {
			return false, err
		}
		if !kind.Delivered() {
			found = &refusal{r, kind}
		}
		return true, nil
	})
	return found, err
}

// look returns the kind of the most specific route to an address in a table.
func look(table int, to netip.Addr) (Kind, int, error) {
	family := netlink.FAMILY_V4
	if to.Is6() {
		family = netlink.FAMILY_V6
	}
	routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return NoRoute, 0, fmt.Errorf("list the routes of table %d: %w", table, err)
	}
	kind, best := NoRoute, -1
	for _, r := range routes {
		n := prefix(r.Dst)
		if n.IsValid() && !n.Contains(to) {
			continue
		}
		if bits := max(n.Bits(), 0); bits > best {
			kind, best = kinds[uint8(r.Type)], bits
		}
	}
	return kind, best, nil
}
