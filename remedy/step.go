package remedy

import (
	"context"
	"errors"
	"fmt"
)

// step is one change with what it takes to undo it. Each is either made or not:
// a process that is killed leaves nothing in between that undo does not restore.
type step interface {
	fmt.Stringer
	// do makes the change; save writes the journal again, for what is known only then.
	do(ctx context.Context, save func() error) error
	// undo reverts it; it is no error if there is nothing to revert.
	undo(ctx context.Context) error
	// in says whether the change is there.
	in(ctx context.Context) (bool, error)
	// lasts says whether the change survives a reboot.
	lasts() bool
	// over names what is changed, where a later change hides this one; or is empty.
	over() string
}

// record is a step in the journal: exactly one of its fields is set.
type record struct {
	Setting   *setting    `json:"setting,omitempty"`
	Addresses *addresses  `json:"addresses,omitempty"`
	Link      *linkMTU    `json:"link,omitempty"`
	Rule      *rule       `json:"rule,omitempty"`
	Removed   *removed    `json:"removed,omitempty"`
	RemovedNF *removedNF  `json:"removed_nft,omitempty"`
	Policy    *policy     `json:"policy,omitempty"`
	Table     *ownTable   `json:"table,omitempty"`
	Process   *process    `json:"process,omitempty"`
	File      *file       `json:"file,omitempty"`
	Mode      *mode       `json:"mode,omitempty"`
	Symlink   *symlink    `json:"symlink,omitempty"`
	Inserted  *inserted   `json:"inserted,omitempty"`
	LXD       *lxdSetting `json:"lxd,omitempty"`
	Devices   *devicesOn  `json:"devices,omitempty"`
	Routing   *routing    `json:"routing,omitempty"`
	ARP       *arp        `json:"arp,omitempty"`
	Forgotten *forgotten  `json:"forgotten,omitempty"`
	HostRoute *hostRoute  `json:"host_route,omitempty"`
	Address   *address4   `json:"address,omitempty"`
}

func (r record) step() (step, error) {
	switch {
	case r.Setting != nil:
		return r.Setting, nil
	case r.Addresses != nil:
		return r.Addresses, nil
	case r.Link != nil:
		return r.Link, nil
	case r.Rule != nil:
		return r.Rule, nil
	case r.Removed != nil:
		return r.Removed, nil
	case r.RemovedNF != nil:
		return r.RemovedNF, nil
	case r.Policy != nil:
		return r.Policy, nil
	case r.Table != nil:
		return r.Table, nil
	case r.Process != nil:
		return r.Process, nil
	case r.File != nil:
		return r.File, nil
	case r.Mode != nil:
		return r.Mode, nil
	case r.Symlink != nil:
		return r.Symlink, nil
	case r.Inserted != nil:
		return r.Inserted, nil
	case r.LXD != nil:
		return r.LXD, nil
	case r.Devices != nil:
		return r.Devices, nil
	case r.Routing != nil:
		return r.Routing, nil
	case r.ARP != nil:
		return r.ARP, nil
	case r.Forgotten != nil:
		return r.Forgotten, nil
	case r.HostRoute != nil:
		return r.HostRoute, nil
	case r.Address != nil:
		return r.Address, nil
	}
	return nil, errors.New("a step of an unknown kind; use the nestlab that wrote it")
}

func (r record) String() string {
	s, err := r.step()
	if err != nil {
		return err.Error()
	}
	return s.String()
}

func (r record) target() string {
	s, err := r.step()
	if err != nil {
		return ""
	}
	return s.over()
}
