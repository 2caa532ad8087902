package ruleset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

// dump is what the kernel says of its rule set, one message for each object.
type dump struct {
	tables, chains, rules, sets []netlink.Message
}

// maxTries bounds the readings of a rule set that changes meanwhile.
const maxTries = 5

// read takes all kinds of objects from one generation of the rule set.
func read(conn *netlink.Conn) (*dump, error) {
	for range maxTries {
		d := &dump{}
		for _, kind := range []struct {
			what string
			get  uint16
			into *[]netlink.Message
		}{
			{"tables", unix.NFT_MSG_GETTABLE, &d.tables},
			{"chains", unix.NFT_MSG_GETCHAIN, &d.chains},
			{"rules", unix.NFT_MSG_GETRULE, &d.rules},
			{"sets", unix.NFT_MSG_GETSET, &d.sets},
		} {
			all, err := list(conn, kind.get, unix.NFPROTO_UNSPEC, nil)
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", kind.what, err)
			}
			*kind.into = all
		}
		if d.consistent() {
			return d, nil
		}
	}
	return nil, fmt.Errorf("read the rule set: it changed %d times while it was read; try again", maxTries)
}

// list dumps the objects of one kind.
func list(conn *netlink.Conn, get uint16, family byte, attributes []byte) ([]netlink.Message, error) {
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	return conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(subsystem | get), Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attributes...),
	})
}

// consistent reports whether all messages are of one generation, which each has
// in its resource id.
func (d *dump) consistent() bool {
	generation, seen := uint16(0), false
	for _, all := range [][]netlink.Message{d.tables, d.chains, d.rules, d.sets} {
		for _, m := range all {
			if len(m.Data) < 4 || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0 {
				return false
			}
			of := binary.BigEndian.Uint16(m.Data[2:4])
			if seen && of != generation {
				return false
			}
			generation, seen = of, true
		}
	}
	return true
}

// attributes calls f for each attribute.
func attributes(b []byte, f func(ad *netlink.AttributeDecoder)) error {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		f(ad)
	}
	return ad.Err()
}

func payload(m netlink.Message) (Family, []byte, error) {
	if len(m.Data) < 4 {
		return "", nil, errors.New("a message without its header")
	}
	return FamilyOf(m.Data[0]), m.Data[4:], nil
}

var families = map[byte]Family{
	unix.NFPROTO_IPV4: IP, unix.NFPROTO_IPV6: IP6, unix.NFPROTO_INET: INet,
	unix.NFPROTO_ARP: ARP, unix.NFPROTO_BRIDGE: Bridge, unix.NFPROTO_NETDEV: Netdev,
}

// FamilyOf returns the family of a netfilter protocol number; of one that is not
// known it returns the number.
func FamilyOf(number byte) Family {
	if f, ok := families[number]; ok {
		return f
	}
	return Family(fmt.Sprintf("family %d", number))
}

// Number returns the netfilter protocol number of a family, 0 of an unknown one.
func (f Family) Number() byte {
	for number, family := range families {
		if family == f {
			return number
		}
	}
	return unix.NFPROTO_UNSPEC
}

// hookNames are the hooks of a family by their numbers, which differ between families.
func hookNames(f Family) []Hook {
	switch f {
	case Netdev:
		return []Hook{Ingress, Egress}
	case ARP:
		return []Hook{Input, Output, Forward}
	}
	return []Hook{Prerouting, Input, Forward, Output, Postrouting, Ingress}
}

func hookOf(f Family, number uint32) Hook {
	if names := hookNames(f); int(number) < len(names) {
		return names[number]
	}
	return Hook(fmt.Sprintf("hook %d", number))
}

// Number returns the number of a hook in a family; false where it has none.
func (h Hook) Number(f Family) (uint32, bool) {
	i := slices.Index(hookNames(f), h)
	return uint32(max(i, 0)), i >= 0
}

func decodeTable(m netlink.Message) (Table, error) {
	family, b, err := payload(m)
	if err != nil {
		return Table{}, err
	}
	t := Table{Family: family}
	err = attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_TABLE_NAME:
			t.Name = ad.String()
		case tableHandle:
			t.Handle = ad.Uint64()
		case unix.NFTA_TABLE_FLAGS:
			flags := ad.Uint32()
			t.Dormant, t.Owned = flags&unix.NFT_TABLE_F_DORMANT != 0, flags&tableOwner != 0
		case tableUserData:
			t.Comment = comment(ad.Bytes())
		}
	})
	return t, err
}

// tableOwner is NFT_TABLE_F_OWNER of linux/netfilter/nf_tables.h.
const tableOwner = 0x2

// Attributes that x/sys lacks (linux/netfilter/nf_tables.h).
const (
	tableHandle   = 4  // NFTA_TABLE_HANDLE
	tableUserData = 6  // NFTA_TABLE_USERDATA
	chainUserData = 12 // NFTA_CHAIN_USERDATA
	hookDevices   = 4  // NFTA_HOOK_DEVS
)

func decodeChain(m netlink.Message) (Chain, error) {
	family, b, err := payload(m)
	if err != nil {
		return Chain{}, err
	}
	c := Chain{ChainID: ChainID{Family: family}}
	var base Base
	var errs []error
	errs = append(errs, attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_CHAIN_TABLE:
			c.Table = ad.String()
		case unix.NFTA_CHAIN_NAME:
			c.ChainID.Chain = ad.String()
		case unix.NFTA_CHAIN_HANDLE:
			c.Handle = ad.Uint64()
		case unix.NFTA_CHAIN_HOOK:
			c.Base = &base
			errs = append(errs, decodeHook(family, ad.Bytes(), &base))
		case unix.NFTA_CHAIN_TYPE:
			base.Type = ad.String()
		case unix.NFTA_CHAIN_POLICY:
			base.Policy = Drop
			if ad.Uint32() == nfAccept {
				base.Policy = Accept
			}
		case unix.NFTA_CHAIN_COUNTERS:
			base.Counter = &Counter{}
			errs = append(errs, decodeCounter(ad.Bytes(), base.Counter))
		case chainUserData:
			c.Comment = comment(ad.Bytes())
		}
	}))
	return c, errors.Join(errs...)
}

func decodeHook(family Family, b []byte, base *Base) error {
	return attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_HOOK_HOOKNUM:
			base.Hook = hookOf(family, ad.Uint32())
		case unix.NFTA_HOOK_PRIORITY:
			base.Priority = int32(ad.Uint32())
		case unix.NFTA_HOOK_DEV:
			base.Devices = []string{ad.String()}
		case hookDevices:
			base.Devices = nil
			ad.Nested(func(names *netlink.AttributeDecoder) error {
				for names.Next() {
					base.Devices = append(base.Devices, names.String())
				}
				return names.Err()
			})
		}
	})
}

func decodeCounter(b []byte, c *Counter) error {
	return attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_COUNTER_PACKETS:
			c.Packets = ad.Uint64()
		case unix.NFTA_COUNTER_BYTES:
			c.Bytes = ad.Uint64()
		}
	})
}

// comment reads a comment from user data: type, length, text and a zero. It is
// the same type in tables, chains and rules.
func comment(b []byte) string {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		if b[0] == 0 {
			text := b[2 : 2+int(b[1])]
			if n := len(text); n > 0 && text[n-1] == 0 {
				text = text[:n-1]
			}
			return string(text)
		}
		b = b[2+int(b[1]):]
	}
	return ""
}
