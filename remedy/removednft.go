package remedy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/facts"
)

// removedNF is a rule of someone else's that was taken out of an nftables chain.
type removedNF struct {
	Family nftables.TableFamily `json:"family"`
	Table  string               `json:"table"`
	Chain  string               `json:"chain"`
	Handle uint64               `json:"handle"`
	// Previous and Next are the handles of its neighbours, 0 where there is none.
	Previous uint64 `json:"previous,omitempty"`
	Next     uint64 `json:"next,omitempty"`
	// Text is for people, and Count how many of the chain's rules have it.
	Text  string `json:"text"`
	Count int    `json:"count"`
	// Expressions and UserData are the rule as the kernel gave it, counters included:
	// a rule that was read and written again by a library might have lost something.
	Expressions []byte `json:"expressions"`
	UserData    []byte `json:"user_data,omitempty"`

	ownSet bool // it has a set without a name
}

func (r *removedNF) String() string {
	return fmt.Sprintf("rule %q taken out of %s %s", r.Text, r.Table, r.Chain)
}
func (r *removedNF) lasts() bool  { return false }
func (r *removedNF) over() string { return r.Table + " " + r.Chain }

func (r *removedNF) chain() *nftables.Chain {
	return &nftables.Chain{Name: r.Chain, Table: &nftables.Table{Family: r.Family, Name: r.Table}}
}

// rules are those of the chain, which may be gone.
func (r *removedNF) rules() (rules []*nftables.Rule, there bool, err error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, false, fmt.Errorf("open netlink: %w", err)
	}
	c := r.chain()
	all, err := conn.ListChainsOfTableFamily(r.Family)
	if err != nil {
		return nil, false, fmt.Errorf("list chains: %w", err)
	}
	same := func(x *nftables.Chain) bool { return x.Name == r.Chain && x.Table.Name == r.Table }
	if !slices.ContainsFunc(all, same) {
		return nil, false, nil
	}
	rules, err = conn.GetRules(c.Table, c)
	if err != nil {
		return nil, true, fmt.Errorf("list the rules of %s %s: %w", r.Table, r.Chain, err)
	}
	return rules, true, nil
}

func sameText(rules []*nftables.Rule, text string) int {
	n := 0
	for _, x := range rules {
		if facts.RuleText(x.Exprs) == text {
			n++
		}
	}
	return n
}

func (r *removedNF) do(context.Context, func() error) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	c := r.chain()
	if err := conn.DelRule(&nftables.Rule{Table: c.Table, Chain: c, Handle: r.Handle}); err != nil {
		return err
	}
	return conn.Flush()
}

func (r *removedNF) in(context.Context) (bool, error) {
	rules, there, err := r.rules()
	return there && sameText(rules, r.Text) < r.Count, err
}

func (r *removedNF) undo(context.Context) error {
	rules, there, err := r.rules()
	if err != nil || !there {
		return err
	}
	if sameText(rules, r.Text) >= r.Count {
		return nil
	}
	has := func(handle uint64) bool {
		return handle != 0 && slices.ContainsFunc(rules, func(x *nftables.Rule) bool { return x.Handle == handle })
	}
	switch {
	case has(r.Previous):
		return r.send(r.Previous, netlink.Append, true)
	case has(r.Next):
		return r.send(r.Next, 0, true)
	}
	return r.send(0, 0, true) // first in its chain
}

// check says why the rule could not be put back. It lets the kernel look at the rule
// without putting it in, as nft --check does.
func (r *removedNF) check() error {
	if r.ownSet {
		return fmt.Errorf("the rule %q has a set of its own, which goes with it and could not be put back; change it by hand with nft", r.Text)
	}
	if err := r.send(0, 0, false); err != nil {
		return fmt.Errorf("this rule could not be put back: %w", err)
	}
	return nil
}

// nft messages have a family, a version and, in batches, the subsystem.
func nftMessage(kind uint16, flags netlink.HeaderFlags, family byte, resource uint16, attributes []byte) netlink.Message {
	head := append([]byte{family, unix.NFNETLINK_V0}, binary.BigEndian.AppendUint16(nil, resource)...)
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
		Data:   append(head, attributes...),
	}
}

const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

// send puts the rule in: after the rule of a handle with netlink.Append, else
// before it. A batch that is not committed only checks.
func (r *removedNF) send(position uint64, flags netlink.HeaderFlags, commit bool) (err error) {
	fields := []netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(r.Table), 0)},
		{Type: unix.NFTA_RULE_CHAIN, Data: append([]byte(r.Chain), 0)},
		{Type: unix.NLA_F_NESTED | unix.NFTA_RULE_EXPRESSIONS, Data: r.Expressions},
	}
	if len(r.UserData) > 0 {
		fields = append(fields, netlink.Attribute{Type: unix.NFTA_RULE_USERDATA, Data: r.UserData})
	}
	if position != 0 {
		fields = append(fields, netlink.Attribute{Type: unix.NFTA_RULE_POSITION, Data: binary.BigEndian.AppendUint64(nil, position)})
	}
	attributes, err := netlink.MarshalAttributes(fields)
	if err != nil {
		return fmt.Errorf("encode the rule: %w", err)
	}
	batch := []netlink.Message{
		nftMessage(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil),
		nftMessage(subsystem|unix.NFT_MSG_NEWRULE, netlink.Acknowledge|netlink.Create|flags, byte(r.Family), 0, attributes),
	}
	if commit {
		batch = append(batch, nftMessage(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil))
	}
	conn, err := dialNetfilter()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.SendMessages(batch); err != nil {
		return fmt.Errorf("send the rule: %w", err)
	}
	if _, err := conn.Receive(); err != nil {
		return fmt.Errorf("put the rule %q in: %w", r.Text, err)
	}
	return nil
}

func dialNetfilter() (*netlink.Conn, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), conn.Close())
	}
	return conn, nil
}

// fetch takes the rule down as the kernel gives it.
func (r *removedNF) fetch() (err error) {
	conn, err := dialNetfilter()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	which, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(r.Table), 0)},
		{Type: unix.NFTA_RULE_CHAIN, Data: append([]byte(r.Chain), 0)},
	})
	if err != nil {
		return fmt.Errorf("encode the question: %w", err)
	}
	all, err := conn.Execute(nftMessage(subsystem|unix.NFT_MSG_GETRULE, netlink.Dump, byte(r.Family), 0, which))
	if err != nil {
		return fmt.Errorf("list the rules of %s %s: %w", r.Table, r.Chain, err)
	}
	for _, m := range all {
		attributes, err := netlink.UnmarshalAttributes(m.Data[4:])
		if err != nil {
			return fmt.Errorf("decode a rule: %w", err)
		}
		found := removedNF{}
		for _, a := range attributes {
			switch a.Type &^ unix.NLA_F_NESTED {
			case unix.NFTA_RULE_HANDLE:
				found.Handle = binary.BigEndian.Uint64(a.Data)
			case unix.NFTA_RULE_EXPRESSIONS:
				found.Expressions = a.Data
			case unix.NFTA_RULE_USERDATA:
				found.UserData = a.Data
			}
		}
		if found.Handle == r.Handle {
			r.Expressions, r.UserData = found.Expressions, found.UserData
			return nil
		}
	}
	return fmt.Errorf("there is no rule %d in %s %s any more; try again", r.Handle, r.Table, r.Chain)
}

// takeNF is the step that takes out one rule of an nftables chain.
func takeNF(chain *nftables.Chain, handle uint64) (record, error) {
	r := &removedNF{Family: chain.Table.Family, Table: chain.Table.Name, Chain: chain.Name, Handle: handle}
	rules, _, err := r.rules()
	if err != nil {
		return record{}, err
	}
	i := slices.IndexFunc(rules, func(x *nftables.Rule) bool { return x.Handle == handle })
	if i < 0 {
		return record{}, fmt.Errorf("there is no rule with handle %d in %s %s; `nft -a list ruleset` shows the handles", handle, r.Table, r.Chain)
	}
	for _, e := range rules[i].Exprs {
		l, ok := e.(*expr.Lookup)
		r.ownSet = r.ownSet || ok && strings.HasPrefix(l.SetName, "__")
	}
	r.Text = facts.RuleText(rules[i].Exprs)
	r.Count = sameText(rules, r.Text)
	if i > 0 {
		r.Previous = rules[i-1].Handle
	}
	if i+1 < len(rules) {
		r.Next = rules[i+1].Handle
	}
	if err := r.fetch(); err != nil {
		return record{}, err
	}
	return record{RemovedNF: r}, nil
}
