package trace

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/ruleset"
)

const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

// batch is one transaction on the rule set. google/nftables cannot bind a table to
// its process.
type batch struct {
	messages []netlink.Message
	err      error
}

func head(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}

func text(kind uint16, s string) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: append([]byte(s), 0)}
}

func word(kind uint16, n uint32) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: binary.BigEndian.AppendUint32(nil, n)}
}

func (b *batch) nest(kind uint16, attributes ...netlink.Attribute) netlink.Attribute {
	data, err := netlink.MarshalAttributes(attributes)
	if err != nil && b.err == nil {
		b.err = err
	}
	return netlink.Attribute{Type: unix.NLA_F_NESTED | kind, Data: data}
}

func (b *batch) add(kind uint16, flags netlink.HeaderFlags, family ruleset.Family, attributes ...netlink.Attribute) *batch {
	data, err := netlink.MarshalAttributes(attributes)
	if err != nil && b.err == nil {
		b.err = err
	}
	b.messages = append(b.messages, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(subsystem | kind), Flags: netlink.Request | netlink.Acknowledge | flags},
		Data:   append(head(family.Number(), 0), data...),
	})
	return b
}

// tableOwner binds a table to the socket that makes it (NFT_TABLE_F_OWNER).
const (
	tableOwner    = 0x2
	tableUserData = 6 // NFTA_TABLE_USERDATA
)

// addTable makes a table, with a comment for people.
func (b *batch) addTable(family ruleset.Family, name, comment string, flags uint32) {
	user := append([]byte{0, byte(len(comment) + 1)}, append([]byte(comment), 0)...)
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl, family,
		text(unix.NFTA_TABLE_NAME, name), word(unix.NFTA_TABLE_FLAGS, flags), netlink.Attribute{Type: tableUserData, Data: user})
}

func (b *batch) deleteTable(family ruleset.Family, name string) *batch {
	return b.add(unix.NFT_MSG_DELTABLE, 0, family, text(unix.NFTA_TABLE_NAME, name))
}

// hookPoint is where a base chain is called; device is of ingress.
type hookPoint struct {
	number   uint32
	priority int32
	device   string
}

func (b *batch) addChain(family ruleset.Family, table, name string, at hookPoint) {
	hook := []netlink.Attribute{word(unix.NFTA_HOOK_HOOKNUM, at.number), word(unix.NFTA_HOOK_PRIORITY, uint32(at.priority))}
	if at.device != "" {
		hook = append(hook, text(unix.NFTA_HOOK_DEV, at.device))
	}
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, family,
		text(unix.NFTA_CHAIN_TABLE, table), text(unix.NFTA_CHAIN_NAME, name), b.nest(unix.NFTA_CHAIN_HOOK, hook...), text(unix.NFTA_CHAIN_TYPE, "filter"))
}

func (b *batch) addRule(family ruleset.Family, table, chain string, exprs []expr.Any) {
	var list []netlink.Attribute
	for _, e := range exprs {
		data, err := expr.Marshal(family.Number(), e)
		if err != nil && b.err == nil {
			b.err = err
		}
		list = append(list, netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_LIST_ELEM, Data: data})
	}
	b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, family,
		text(unix.NFTA_RULE_TABLE, table), text(unix.NFTA_RULE_CHAIN, chain), b.nest(unix.NFTA_RULE_EXPRESSIONS, list...))
}

// send carries the transaction out, whole or not at all.
func (b *batch) send(conn *netlink.Conn) error {
	if b.err != nil {
		return fmt.Errorf("encode the change: %w", b.err)
	}
	frame := func(kind uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data:   head(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES),
		}
	}
	all := append([]netlink.Message{frame(unix.NFNL_MSG_BATCH_BEGIN)}, b.messages...)
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.SendMessages(append(all, frame(unix.NFNL_MSG_BATCH_END))); err != nil {
		return err
	}
	for acknowledged := 0; acknowledged < len(b.messages); {
		answers, err := conn.Receive()
		if err != nil {
			return err
		}
		acknowledged += len(answers)
	}
	return nil
}
