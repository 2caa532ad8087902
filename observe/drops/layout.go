package drops

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout is where this kernel keeps what the program reads: offsets in bytes,
// and the tracepoint's arguments by their place. A negative one is not there.
type layout struct {
	// Of sk_buff.
	head, networkHeader, tail, length, device, input, route, socket int32
	// Of net_device, dst_entry, sock and net.
	deviceNet, deviceIndex, deviceName, routeDevice, socketNet, inode int32
	argSKB, argLocation, argReason                                    int32
	// consumed are the reasons that are no drops.
	consumed []int32
	reasons  reasons
}

// readLayout reads the layout from the kernel's BTF.
func readLayout(spec *btf.Spec) (*layout, error) {
	l := &layout{argReason: -1}
	var errs []error
	for _, f := range []struct {
		to   *int32
		path []string
	}{
		{&l.head, []string{"sk_buff", "head"}},
		{&l.networkHeader, []string{"sk_buff", "network_header"}},
		{&l.tail, []string{"sk_buff", "tail"}},
		{&l.length, []string{"sk_buff", "len"}},
		{&l.device, []string{"sk_buff", "dev"}},
		{&l.input, []string{"sk_buff", "skb_iif"}},
		{&l.route, []string{"sk_buff", "_skb_refdst"}},
		{&l.socket, []string{"sk_buff", "sk"}},
		{&l.deviceNet, []string{"net_device", "nd_net", "net"}},
		{&l.deviceIndex, []string{"net_device", "ifindex"}},
		{&l.deviceName, []string{"net_device", "name"}},
		{&l.routeDevice, []string{"dst_entry", "dev"}},
		{&l.socketNet, []string{"sock", "__sk_common", "skc_net", "net"}},
		{&l.inode, []string{"net", "ns", "inum"}},
	} {
		at, err := offset(spec, f.path)
		*f.to = at
		errs = append(errs, err)
	}
	errs = append(errs, l.arguments(spec))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, l.readReasons(spec)
}

// offset returns the place of a member, by the name of its struct and those of
// the members that it is in.
func offset(spec *btf.Spec, path []string) (int32, error) {
	var in *btf.Struct
	if err := spec.TypeByName(path[0], &in); err != nil {
		return -1, fmt.Errorf("find struct %s in the kernel's BTF: %w", path[0], err)
	}
	at, members := uint32(0), in.Members
	for _, name := range path[1:] {
		m, inner, ok := find(members, name)
		if !ok {
			return -1, fmt.Errorf("find %s in the kernel's BTF: there is no member %s", strings.Join(path, "."), name)
		}
		at, members = at+m, inner
	}
	return int32(at), nil
}

// find returns the offset of a member, and what it consists of. It looks into
// anonymous members.
func find(members []btf.Member, name string) (uint32, []btf.Member, bool) {
	for _, m := range members {
		inner := membersOf(m.Type)
		if m.Name == name {
			return m.Offset.Bytes(), inner, true
		}
		if m.Name != "" {
			continue
		}
		if at, deeper, ok := find(inner, name); ok {
			return m.Offset.Bytes() + at, deeper, true
		}
	}
	return 0, nil, false
}

func membersOf(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// arguments finds the tracepoint's arguments: Linux 5.17 added the reason, 6.11
// a socket behind it.
func (l *layout) arguments(spec *btf.Spec) error {
	var def *btf.Typedef
	if err := spec.TypeByName("btf_trace_"+tracepoint, &def); err != nil {
		return fmt.Errorf("find tracepoint %s in the kernel's BTF: %w", tracepoint, err)
	}
	pointer, ok := btf.UnderlyingType(def).(*btf.Pointer)
	if !ok {
		return fmt.Errorf("read tracepoint %s in the kernel's BTF: %v is no function", tracepoint, def)
	}
	proto, ok := btf.UnderlyingType(pointer.Target).(*btf.FuncProto)
	if !ok || len(proto.Params) < 3 {
		return fmt.Errorf("read tracepoint %s in the kernel's BTF: %v lacks arguments", tracepoint, pointer.Target)
	}
	// The first parameter is the tracepoint's own and is not handed on.
	l.argSKB, l.argLocation = 0, 8
	for i, p := range proto.Params[1:] {
		if e, ok := btf.UnderlyingType(p.Type).(*btf.Enum); ok && e.Name == reasonEnum {
			l.argReason = int32(i) * 8
		}
	}
	return nil
}
