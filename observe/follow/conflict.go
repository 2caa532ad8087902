package follow

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/arping"
)

const (
	// conflictWithin is how long who else has an address has to say so: it is one hop away.
	conflictWithin = 200 * time.Millisecond
	// maxConflicts bounds the addresses that are asked for.
	maxConflicts = 4
)

// conflicts asks the links that what was tried in vain is to leave by who else has the
// address that it leaves with: answers would go there.
func (f *Follower) conflicts(s *model.Sightings, tried []Tried) error {
	if !f.subject.Own || !slices.ContainsFunc(tried, func(t Tried) bool { return t.Failed }) {
		return nil
	}
	own, err := hardware()
	if err != nil {
		return err
	}
	var errs []error
	asked := map[model.AddressConflict]bool{}
	for _, d := range s.Decisions {
		at := model.AddressConflict{Interface: d.Out, Address: d.Prefers}
		failed := slices.ContainsFunc(tried, func(t Tried) bool { return t.Failed && t.Destination == d.Destination })
		if d.Reply || d.Kind != "unicast" || !d.Prefers.Is4() || !failed || !own.speaksARP[d.Out] || asked[at] || len(asked) == maxConflicts {
			continue
		}
		asked[at] = true
		owners, err := arping.Ask(at.Interface, at.Address, conflictWithin)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, mac := range owners {
			if at.MAC = mac; !own.macs[mac] {
				s.Conflicts = append(s.Conflicts, at)
			}
		}
	}
	return errors.Join(errs...)
}

// links are this host's: their MAC addresses, and those that neighbours are asked for on.
type links struct {
	macs, speaksARP map[string]bool
}

func hardware() (links, error) {
	own := links{macs: map[string]bool{}, speaksARP: map[string]bool{}}
	all, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return own, fmt.Errorf("list the interfaces: %w", err)
	}
	for _, l := range all {
		a := l.Attrs()
		own.macs[a.HardwareAddr.String()] = true
		own.speaksARP[a.Name] = a.EncapType == "ether" && len(a.HardwareAddr) == 6
	}
	return own, nil
}
