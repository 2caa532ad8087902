package ruleset

import (
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

type setKey struct {
	family      Family
	table, name string
}

// set is a set or map with what of its elements a rule's text and verdicts need:
// those of anonymous sets and of verdict maps.
type set struct {
	setKey
	anonymous, isMap, verdictMap, interval bool

	verdicts []Verdict
	elements []element
}

// element is one of a set; end closes the interval that the element before it opens.
type element struct {
	key, keyEnd, value []byte
	verdict            *Verdict
	end                bool
}

type sets struct {
	conn *netlink.Conn
	all  map[setKey]*set
}

// maxElements bounds what is kept of one set: a rule's text shows fewer.
const maxElements = 4096

// decodeSets takes in the sets, and the elements of those whose elements matter.
func decodeSets(conn *netlink.Conn, messages []netlink.Message) (*sets, error) {
	s := &sets{conn: conn, all: map[setKey]*set{}}
	for _, m := range messages {
		one, err := decodeSet(m)
		if err != nil {
			return nil, fmt.Errorf("decode a set: %w", err)
		}
		s.all[one.setKey] = one
		if !one.anonymous && !one.verdictMap {
			continue
		}
		// A set that went since is one that no rule looks up any more.
		if err := s.readElements(one); err != nil && !errors.Is(err, unix.ENOENT) {
			return nil, fmt.Errorf("list the elements of set %s in table %s %s: %w", one.name, one.family, one.table, err)
		}
	}
	return s, nil
}

// find returns the set that a rule of a chain looks up; an empty one where it went.
func (s *sets) find(in ChainID, name string) *set {
	if one, ok := s.all[setKey{in.Family, in.Table, name}]; ok {
		return one
	}
	return &set{}
}

// verdictType is NFT_DATA_VERDICT of linux/netfilter/nf_tables.h.
const verdictType = 0xffffff00

func decodeSet(m netlink.Message) (*set, error) {
	family, b, err := payload(m)
	if err != nil {
		return nil, err
	}
	s := &set{setKey: setKey{family: family}}
	err = attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_SET_TABLE:
			s.table = ad.String()
		case unix.NFTA_SET_NAME:
			s.name = ad.String()
		case unix.NFTA_SET_FLAGS:
			flags := ad.Uint32()
			s.anonymous = flags&unix.NFT_SET_ANONYMOUS != 0
			s.interval = flags&unix.NFT_SET_INTERVAL != 0
			s.isMap = flags&unix.NFT_SET_MAP != 0
		case unix.NFTA_SET_DATA_TYPE:
			s.verdictMap = ad.Uint32() == verdictType
		}
	})
	return s, err
}

func (s *sets) readElements(of *set) error {
	which, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: append([]byte(of.table), 0)},
		{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: append([]byte(of.name), 0)},
	})
	if err != nil {
		return err
	}
	all, err := list(s.conn, unix.NFT_MSG_GETSETELEM, of.family.Number(), which)
	if err != nil {
		return err
	}
	for _, m := range all {
		_, b, err := payload(m)
		if err != nil {
			return err
		}
		if err := of.add(b); err != nil {
			return err
		}
	}
	return nil
}

// add takes in the elements of one message.
func (s *set) add(b []byte) error {
	var errs []error
	errs = append(errs, attributes(b, func(ad *netlink.AttributeDecoder) {
		if ad.Type() != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		errs = append(errs, attributes(ad.Bytes(), func(ad *netlink.AttributeDecoder) {
			e, err := decodeElement(ad.Bytes())
			errs = append(errs, err)
			if e.verdict != nil {
				s.verdicts = appendNew(s.verdicts, *e.verdict)
			}
			if len(s.elements) < maxElements {
				s.elements = append(s.elements, e)
			}
		}))
	}))
	return errors.Join(errs...)
}

func appendNew(all []Verdict, v Verdict) []Verdict {
	for _, x := range all {
		if x == v {
			return all
		}
	}
	return append(all, v)
}

func decodeElement(b []byte) (element, error) {
	var e element
	var errs []error
	errs = append(errs, attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_SET_ELEM_KEY:
			errs = append(errs, decodeData(ad.Bytes(), &e.key, nil))
		case elementKeyEnd:
			errs = append(errs, decodeData(ad.Bytes(), &e.keyEnd, nil))
		case unix.NFTA_SET_ELEM_DATA:
			errs = append(errs, decodeData(ad.Bytes(), &e.value, &e.verdict))
		case unix.NFTA_SET_ELEM_FLAGS:
			e.end = ad.Uint32()&unix.NFT_SET_ELEM_INTERVAL_END != 0
		}
	}))
	return e, errors.Join(errs...)
}

// elementKeyEnd is NFTA_SET_ELEM_KEY_END, which x/sys lacks.
const elementKeyEnd = 10

// decodeData reads a value, or a verdict.
func decodeData(b []byte, value *[]byte, verdict **Verdict) error {
	var inner error
	return errors.Join(attributes(b, func(ad *netlink.AttributeDecoder) {
		switch {
		case ad.Type() == unix.NFTA_DATA_VALUE:
			*value = ad.Bytes()
		case ad.Type() == unix.NFTA_DATA_VERDICT && verdict != nil:
			var v Verdict
			v, inner = DecodeVerdict(ad.Bytes())
			*verdict = &v
		}
	}), inner)
}

// DecodeVerdict reads a verdict from its netlink attributes.
func DecodeVerdict(b []byte) (v Verdict, err error) {
	err = attributes(b, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.NFTA_VERDICT_CODE:
			chain := v.Chain
			v = verdictOf(&expr.Verdict{Kind: expr.VerdictKind(int32(ad.Uint32())), Chain: chain})
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = ad.String()
		}
	})
	return v, err
}

// lookupText shows a look-up of what was loaded last: of an anonymous set its
// elements, of another its name.
func (s *set) lookupText(left string, e *expr.Lookup) string {
	word := ""
	switch {
	case s.verdictMap:
		word = "vmap "
	case e.IsDestRegSet:
		word = "map "
	case e.Invert:
		word = "!= "
	}
	if !s.anonymous {
		return word + "@" + e.SetName
	}
	return word + s.elementsText(left)
}
