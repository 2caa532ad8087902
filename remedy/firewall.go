package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// candidate is a rule that drops what is forwarded.
type candidate struct {
	// table is its family and name, as in 'inet filter'.
	table, chain string
	// names says whether the rule names the bridge as where packets come from.
	names bool
	text  string
	take  func() (record, error)
}

// planFirewall takes out the one rule that drops what comes from the bridge, if it
// could be put back.
func planFirewall(ctx context.Context, parameters map[string]string) ([]record, error) {
	steps, err := findDrop(ctx, parameters)
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		if s.RemovedNF == nil {
			continue
		}
		if err := s.RemovedNF.check(); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// findDrop finds the one rule that drops what comes from the bridge.
func findDrop(ctx context.Context, parameters map[string]string) ([]record, error) {
	bridge := parameters["bridge"]
	if parameters["handle"] != "" {
		return only(takeNamedRule(parameters))
	}
	all, err := iptablesCandidates(ctx, bridge)
	if err != nil {
		return nil, err
	}
	plain, err := nftCandidates(bridge)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(append(all, plain...), func(c candidate) bool {
		if parameters["table"] == "" && !strings.HasPrefix(c.table, "ip ") && !strings.HasPrefix(c.table, "inet ") {
			return true // of other families only by name
		}
		return (parameters["table"] != "" && c.table != parameters["table"]) || (parameters["chain"] != "" && c.chain != parameters["chain"])
	})
	if named := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return !c.names }); len(named) > 0 {
		all = named
	}
	switch len(all) {
	case 0:
		return nil, fmt.Errorf("no rule that drops can match what comes from %s (a chain's policy is no rule: see %s)", bridge, catalogue.ForwardAccept)
	case 1:
		return only(all[0].take())
	}
	var texts []string
	for _, c := range all {
		texts = append(texts, c.text)
	}
	return nil, fmt.Errorf("more than one rule that drops can match what comes from %s, name the one with table=, chain= and handle=: %s", bridge, strings.Join(texts, "; "))
}

func only(r record, err error) ([]record, error) {
	if err != nil {
		return nil, err
	}
	return []record{r}, nil
}

// families are those that have a forward hook.
var families = map[string]nftables.TableFamily{
	"ip": nftables.TableFamilyIPv4, "ip6": nftables.TableFamilyIPv6, "inet": nftables.TableFamilyINet, "bridge": nftables.TableFamilyBridge,
}

// ownedByIPTables says whether a table is iptables-nft's: what it made can't be
// written by others without loss.
func ownedByIPTables(family, table string) bool {
	return (family == "ip" || family == "ip6") && slices.Contains([]string{filter, "mangle", "security", "nat", "raw"}, table)
}

func takeNamedRule(parameters map[string]string) (record, error) {
	kind, table, _ := strings.Cut(parameters["table"], " ")
	if ownedByIPTables(kind, table) {
		return record{}, fmt.Errorf("the table %s %s is iptables': leave handle= out, the rule is found by its interface", kind, table)
	}
	family, known := families[kind]
	handle, err := strconv.ParseUint(parameters["handle"], 10, 64)
	if !known || parameters["chain"] == "" || err != nil {
		return record{}, errors.New("to name one rule give all of table=, chain= and handle=; `nft -a list ruleset` shows them")
	}
	return takeNF(&nftables.Chain{Name: parameters["chain"], Table: &nftables.Table{Family: family, Name: table}}, handle)
}

// iptablesCandidates looks at the chains of iptables, Docker's own excepted:
// dockerd would put its rules back. DOCKER-USER is not its own.
func iptablesCandidates(ctx context.Context, bridge string) ([]candidate, error) {
	all, err := chains(ctx, func(c model.ForwardChain) bool { return c.Backend != "nftables" })
	if err != nil {
		return nil, err
	}
	var out []candidate
	for _, c := range all {
		for _, d := range c.Drops {
			words, err := Words(d.Rule)
			if err != nil {
				return nil, err
			}
			from := after(words, "-i")
			if catalogue.DockersOwn(c.Table, d.Chain) || (from != "" && from != bridge) {
				continue
			}
			out = append(out, candidate{
				table: c.Family + " " + c.Table, chain: d.Chain, names: from == bridge, text: fmt.Sprintf("%s table %s %q", c.Backend, c.Table, d.Rule),
				take: func() (record, error) { return takeRule(c, d) },
			})
		}
	}
	return out, nil
}

func after(words []string, option string) string {
	if i := slices.Index(words, option); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

func familyName(f nftables.TableFamily) string {
	for name, family := range families {
		if family == f {
			return name
		}
	}
	return ""
}

// nftCandidates looks at what forwarded packets meet in tables that are not iptables'.
func nftCandidates(bridge string) ([]candidate, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	all, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list chains: %w", err)
	}
	var out []candidate
	for _, c := range all {
		onForward := c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward && c.Type == nftables.ChainTypeFilter
		if family := familyName(c.Table.Family); !onForward || family == "" || catalogue.DockersOwn(c.Table.Name, "") || (c.Name == "FORWARD" && ownedByIPTables(family, c.Table.Name)) {
			continue
		}
		found, err := dropsOf(conn, all, c, bridge, map[string]bool{})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// dropsOf follows the jumps of a chain.
func dropsOf(conn *nftables.Conn, all []*nftables.Chain, c *nftables.Chain, bridge string, seen map[string]bool) ([]candidate, error) {
	seen[c.Name] = true
	rules, err := conn.GetRules(c.Table, c)
	if err != nil {
		return nil, fmt.Errorf("list the rules of %s %s: %w", c.Table.Name, c.Name, err)
	}
	var out []candidate
	for _, r := range rules {
		names, others := comesFrom(r.Exprs, bridge)
		if others {
			continue
		}
		for _, e := range r.Exprs {
			verdict, is := e.(*expr.Verdict)
			_, reject := e.(*expr.Reject)
			if reject || (is && verdict.Kind == expr.VerdictDrop) {
				out = append(out, candidate{
					table: familyName(c.Table.Family) + " " + c.Table.Name, chain: c.Name, names: names, text: fmt.Sprintf("table %s chain %s handle %d %q", c.Table.Name, c.Name, r.Handle, facts.RuleText(r.Exprs)),
					take: func() (record, error) { return takeNF(c, r.Handle) },
				})
			}
			if !is || (verdict.Kind != expr.VerdictJump && verdict.Kind != expr.VerdictGoto) || seen[verdict.Chain] {
				continue
			}
			for _, next := range all {
				if next.Name != verdict.Chain || next.Table.Name != c.Table.Name || next.Table.Family != c.Table.Family {
					continue
				}
				more, err := dropsOf(conn, all, next, bridge, seen)
				if err != nil {
					return nil, err
				}
				out = append(out, more...)
			}
		}
	}
	return out, nil
}

// comesFrom says whether a rule names the bridge as where packets come from, or
// is for other interfaces alone.
func comesFrom(exprs []expr.Any, bridge string) (names, others bool) {
	for i, e := range exprs[:max(0, len(exprs)-1)] {
		m, ok := e.(*expr.Meta)
		if !ok || m.Key != expr.MetaKeyIIFNAME {
			continue
		}
		cmp, ok := exprs[i+1].(*expr.Cmp)
		if !ok {
			continue
		}
		same := bytes.Equal(cmp.Data, device(bridge)) || (!bytes.HasSuffix(cmp.Data, []byte{0}) && strings.HasPrefix(bridge, string(cmp.Data)))
		if same == (cmp.Op == expr.CmpOpEq) {
			return same, false
		}
		return false, true
	}
	return false, false
}
