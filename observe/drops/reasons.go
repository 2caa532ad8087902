package drops

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cilium/ebpf/btf"
)

const (
	reasonEnum = "skb_drop_reason"
	// subsystemShift separates a reason's subsystem from its number there.
	subsystemShift = 16
)

// subsystemReasons are the enums of reasons that subsystems have of their own,
// by the module that holds them where it is not built in.
var subsystemReasons = map[string]string{
	"openvswitch": "ovs_drop_reason",
	"mac80211":    "___mac80211_drop_reason",
}

// reasons names this kernel's drop reasons by their numbers.
type reasons map[uint32]string

// readReasons reads the reasons and notes which are no drops. A kernel before
// 5.17 has none.
func (l *layout) readReasons(spec *btf.Spec) error {
	l.reasons = reasons{}
	var enum *btf.Enum
	switch err := spec.TypeByName(reasonEnum, &enum); {
	case errors.Is(err, btf.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("find enum %s in the kernel's BTF: %w", reasonEnum, err)
	}
	for _, v := range enum.Values {
		switch v.Name {
		case "SKB_CONSUMED", "SKB_NOT_DROPPED_YET":
			l.consumed = append(l.consumed, int32(v.Value))
		}
	}
	l.reasons.add(enum, "SKB_DROP_REASON_")
	return l.reasons.addSubsystems(spec)
}

func (r reasons) add(enum *btf.Enum, prefix string) {
	for _, v := range enum.Values {
		r[uint32(v.Value)] = strings.TrimPrefix(v.Name, prefix)
	}
}

func (r reasons) addSubsystems(spec *btf.Spec) error {
	for module, name := range subsystemReasons {
		var enum *btf.Enum
		err := spec.TypeByName(name, &enum)
		if errors.Is(err, btf.ErrNotFound) {
			var of *btf.Spec
			if of, err = btf.LoadKernelModuleSpec(module); err == nil {
				err = of.TypeByName(name, &enum)
			}
		}
		switch {
		case errors.Is(err, btf.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			continue // not loaded, or without reasons of its own
		case err != nil:
			return fmt.Errorf("find enum %s in the BTF of module %s: %w", name, module, err)
		}
		r.add(enum, "")
	}
	return nil
}

// name returns a reason's name, without the prefix that all share. A reason of
// a subsystem that BTF does not have is told by its numbers.
func (r reasons) name(reason uint32) string {
	if name, ok := r[reason]; ok {
		return name
	}
	if len(r) == 0 {
		return ""
	}
	return fmt.Sprintf("SUBSYSTEM_%d_REASON_%d", reason>>subsystemShift, reason&(1<<subsystemShift-1))
}
