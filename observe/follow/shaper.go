package follow

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
)

// readShapers reads the rates of a queueing discipline, and how often packets had to wait
// for them.
func (c control) readShapers(q netlink.Qdisc, link netlink.Link) error {
	a, name := q.Attrs(), link.Attrs().Name
	switch q := q.(type) {
	case *netlink.Tbf:
		if a.Statistics != nil {
			c.shaper(queueOf{uint32(a.LinkIndex), a.Handle, a.Parent}, model.Shaper{Interface: name, Kind: q.Type(), Rate: 8 * q.Rate}, a.Statistics.Queue)
		}
	case *netlink.Htb:
		classes, err := netlink.ClassList(link, netlink.HANDLE_NONE)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("list the classes of %s: %w", name, err)
		}
		for _, class := range classes {
			if h, ok := class.(*netlink.HtbClass); ok && h.Statistics != nil {
				c.shaper(queueOf{uint32(a.LinkIndex), h.Handle, h.Parent},
					model.Shaper{Interface: name, Kind: q.Type(), Class: netlink.HandleStr(h.Handle), Rate: 8 * max(h.Rate, h.Ceil)}, h.Statistics.Queue)
			}
		}
	}
	return nil
}

func (c control) shaper(at queueOf, s model.Shaper, counted *netlink.GnetStatsQueue) {
	if counted != nil {
		s.Delayed, s.Waiting = uint64(counted.Overlimits), uint64(counted.Backlog)
		c.shapers[at] = s
	}
}
