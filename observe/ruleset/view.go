package ruleset

import (
	"cmp"
	"slices"

	"github.com/nestlab/nestlab/observe"
)

// View is the whole rule set at one time.
type View struct {
	Tables []Table `json:"tables"`
	Chains []Chain `json:"chains"`
	// Missing is what could not be seen, such as the tables of iptables-legacy.
	Missing []observe.Unavailable `json:"missing,omitempty"`

	chains map[ChainID]int
	tables map[tableKey]int
}

type tableKey struct {
	family Family
	name   string
}

// index makes the look-ups; a View that was decoded from JSON makes them at first use.
func (v *View) index() {
	if v.chains != nil {
		return
	}
	v.chains, v.tables = map[ChainID]int{}, map[tableKey]int{}
	for i, c := range v.Chains {
		v.chains[c.ChainID] = i
	}
	for i, t := range v.Tables {
		v.tables[tableKey{t.Family, t.Name}] = i
	}
}

// Chain returns a chain, nil where there is none of that name.
func (v *View) Chain(id ChainID) *Chain {
	v.index()
	if i, ok := v.chains[id]; ok {
		return &v.Chains[i]
	}
	return nil
}

// Table returns a table, nil where there is none of that name.
func (v *View) Table(family Family, name string) *Table {
	v.index()
	if i, ok := v.tables[tableKey{family, name}]; ok {
		return &v.Tables[i]
	}
	return nil
}

// Location is a rule, or with handle 0 the policy of a base chain, in its place.
type Location struct {
	Table *Table
	Chain *Chain
	// Rule is nil for a policy.
	Rule *Rule
	// Before and After are the handles of the rule's neighbours, 0 where there is
	// none; before a policy is the chain's last rule.
	Before, After uint64
	// Bases are the base chains that the rule can be reached from, by the hook's order.
	Bases []*Chain
}

// Locate finds the rule of a handle, or with handle 0 the policy of a base chain:
// the place before which an accept would let a packet pass it. It returns false
// where there is none (any more).
func (v *View) Locate(family Family, table, chain string, handle uint64) (Location, bool) {
	c := v.Chain(ChainID{family, table, chain})
	if c == nil || (handle == 0 && c.Base == nil) {
		return Location{}, false
	}
	at := Location{Table: v.Table(family, table), Chain: c, Bases: v.bases(c)}
	if handle == 0 {
		if n := len(c.Rules); n > 0 {
			at.Before = c.Rules[n-1].Handle
		}
		return at, true
	}
	i := slices.IndexFunc(c.Rules, func(r Rule) bool { return r.Handle == handle })
	if i < 0 {
		return Location{}, false
	}
	at.Rule = &c.Rules[i]
	if i > 0 {
		at.Before = c.Rules[i-1].Handle
	}
	if i+1 < len(c.Rules) {
		at.After = c.Rules[i+1].Handle
	}
	return at, true
}

// bases follows the jumps back to the base chains of the chain's table.
func (v *View) bases(to *Chain) []*Chain {
	callers := map[string][]*Chain{}
	for i := range v.Chains {
		c := &v.Chains[i]
		if c.Family != to.Family || c.Table != to.Table {
			continue
		}
		for _, r := range c.Rules {
			for _, verdict := range r.Verdicts {
				if verdict.Chain != "" {
					callers[verdict.Chain] = append(callers[verdict.Chain], c)
				}
			}
		}
	}
	var out []*Chain
	seen := map[string]bool{to.ChainID.Chain: true}
	for todo := []*Chain{to}; len(todo) > 0; todo = todo[1:] {
		if todo[0].Base != nil {
			out = append(out, todo[0])
		}
		for _, caller := range callers[todo[0].ChainID.Chain] {
			if !seen[caller.ChainID.Chain] {
				seen[caller.ChainID.Chain] = true
				todo = append(todo, caller)
			}
		}
	}
	slices.SortStableFunc(out, inOrder)
	return out
}

// On returns the base chains on a hook that packets of a family meet, in the
// order in which they are called. Those of inet are called for ip and ip6.
func (v *View) On(family Family, hook Hook) []*Chain {
	var out []*Chain
	for i := range v.Chains {
		c := &v.Chains[i]
		if c.Base != nil && c.Base.Hook == hook && meets(c.Family, family) {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, inOrder)
	return out
}

func meets(chain, packet Family) bool {
	return chain == packet || (chain == INet && (packet == IP || packet == IP6))
}

func inOrder(a, b *Chain) int {
	return cmp.Or(cmp.Compare(hookOrder[a.Base.Hook], hookOrder[b.Base.Hook]), cmp.Compare(a.Base.Priority, b.Base.Priority))
}

// hookOrder is the way of a packet.
var hookOrder = map[Hook]int{Ingress: 0, Prerouting: 1, Input: 2, Forward: 3, Output: 4, Postrouting: 5, Egress: 6}

// Devices returns the interfaces with a chain on ingress or egress, in order.
func (v *View) Devices() []string {
	var out []string
	for _, c := range v.Chains {
		if c.Base != nil {
			out = append(out, c.Base.Devices...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
