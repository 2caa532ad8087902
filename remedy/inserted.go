package remedy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// inserted is a rule of nestlab's own in someone else's nftables chain, at its head if
// nothing else is said: an accept in a table of its own would not undo that chain's drop.
type inserted struct {
	Family nftables.TableFamily `json:"family"`
	Table  string               `json:"table"`
	Chain  string               `json:"chain"`
	// Comment tells the rule from an equal one of someone else.
	Comment string `json:"comment"`

	// before is the handle of the rule that it is put in front of, last that it goes to
	// the end of the chain, before the policy.
	before uint64
	last   bool
	// exprs are the rule, and text is how nft writes it; neither is needed to undo it.
	exprs []expr.Any
	text  string
}

func (i *inserted) String() string {
	return fmt.Sprintf("rule %q in %s %s", i.Comment, i.Table, i.Chain)
}
func (i *inserted) lasts() bool  { return false }
func (i *inserted) over() string { return "" }

func (i *inserted) chain() *nftables.Chain {
	return &nftables.Chain{Name: i.Chain, Table: &nftables.Table{Family: i.Family, Name: i.Table}}
}

func (i *inserted) mark() []byte { return userdata.AppendString(nil, userdata.TypeComment, i.Comment) }

func (i *inserted) do(context.Context, func() error) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	c := i.chain()
	rule := &nftables.Rule{Table: c.Table, Chain: c, Exprs: i.exprs, UserData: i.mark(), Position: i.before}
	if i.last {
		conn.AddRule(rule)
	} else {
		conn.InsertRule(rule)
	}
	return conn.Flush()
}

// chainThere reports whether the rule's chain is there.
func (i *inserted) chainThere() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("open netlink: %w", err)
	}
	all, err := conn.ListChainsOfTableFamily(i.Family)
	if err != nil {
		return false, fmt.Errorf("list chains: %w", err)
	}
	return slices.ContainsFunc(all, func(x *nftables.Chain) bool { return x.Name == i.Chain && x.Table.Name == i.Table }), nil
}

// find is the rule, nil where it or its chain is gone.
func (i *inserted) find(conn *nftables.Conn) (*nftables.Rule, error) {
	if there, err := i.chainThere(); err != nil || !there {
		return nil, err
	}
	c := i.chain()
	rules, err := conn.GetRules(c.Table, c)
	if err != nil {
		return nil, fmt.Errorf("list the rules of %s %s: %w", i.Table, i.Chain, err)
	}
	for _, r := range rules {
		if comment, ok := userdata.GetString(r.UserData, userdata.TypeComment); ok && comment == i.Comment {
			return r, nil
		}
	}
	return nil, nil
}

func (i *inserted) undo(context.Context) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	found, err := i.find(conn)
	if err != nil || found == nil {
		return err
	}
	c := i.chain()
	if err := conn.DelRule(&nftables.Rule{Table: c.Table, Chain: c, Handle: found.Handle}); err != nil {
		return err
	}
	return conn.Flush()
}

func (i *inserted) in(context.Context) (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("open netlink: %w", err)
	}
	found, err := i.find(conn)
	return found != nil, err
}

const dhcpServerPort = 67

// planDHCPAccept lets DHCP from a bridge pass in every chain that drops some of
// what comes in.
func planDHCPAccept(_ context.Context, parameters map[string]string) ([]record, error) {
	bridge := parameters["bridge"]
	if _, err := findLink(bridge); err != nil {
		return nil, err
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	all, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list chains: %w", err)
	}
	var steps []record
	for _, c := range all {
		onInput := c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookInput && c.Type == nftables.ChainTypeFilter
		family := familyName(c.Table.Family)
		if !onInput || (family != "ip" && family != "inet") {
			continue
		}
		drops, err := dropsOnInput(conn, all, c)
		if err != nil {
			return nil, err
		}
		switch {
		case !drops:
		case ownedByIPTables(family, c.Table.Name) && c.Table.Name == filter:
			words := []string{"-i", bridge, "-p", "udp", "--dport", fmt.Sprint(dhcpServerPort), "-j", "ACCEPT"}
			steps = append(steps, record{Rule: &rule{variant: variant{Program: "iptables-nft"}, Chain: c.Name, Words: words}})
		default:
			steps = append(steps, record{Inserted: &inserted{
				Family: c.Table.Family, Table: c.Table.Name, Chain: c.Name, Comment: "nestlab dhcp-accept " + bridge, exprs: acceptDHCP(bridge),
				text: fmt.Sprintf("iifname %q udp dport %d accept", bridge, dhcpServerPort),
			}})
		}
	}
	if len(steps) == 0 {
		return nil, errors.New("no nftables chain drops anything that comes in: look at the DHCP server of the bridge instead")
	}
	return steps, nil
}

// dropsOnInput says whether a chain can drop, by its policy or by a rule in its reach.
func dropsOnInput(conn *nftables.Conn, all []*nftables.Chain, base *nftables.Chain) (bool, error) {
	if base.Policy != nil && *base.Policy == nftables.ChainPolicyDrop {
		return true, nil
	}
	seen := map[string]bool{}
	for left := []*nftables.Chain{base}; len(left) > 0; left = left[1:] {
		c := left[0]
		if seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			return false, fmt.Errorf("list the rules of %s %s: %w", c.Table.Name, c.Name, err)
		}
		for _, r := range rules {
			drops, next := outcome(r)
			if drops {
				return true, nil
			}
			for _, x := range all {
				if x.Name == next && x.Table.Name == c.Table.Name && x.Table.Family == c.Table.Family {
					left = append(left, x)
				}
			}
		}
	}
	return false, nil
}

// outcome says whether a rule drops, and which chain it goes on to.
func outcome(r *nftables.Rule) (drops bool, next string) {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Reject:
			drops = true
		case *expr.Target:
			drops = drops || e.Name == "REJECT" || e.Name == "DROP"
		case *expr.Verdict:
			drops = drops || e.Kind == expr.VerdictDrop
			if e.Kind == expr.VerdictJump || e.Kind == expr.VerdictGoto {
				next = e.Chain
			}
		}
	}
	return drops, next
}

func acceptDHCP(bridge string) []expr.Any {
	exprs := append(meta(expr.MetaKeyIIFNAME, device(bridge)), meta(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_UDP})...)
	return append(exprs,
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, dhcpServerPort)),
		&expr.Verdict{Kind: expr.VerdictAccept},
	)
}
