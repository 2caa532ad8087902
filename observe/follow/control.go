package follow

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
)

// maxControls bounds the queueing disciplines and filters that are told of.
const maxControls = 64

// queueOf and filterOf name a queueing discipline and a filter.
type queueOf struct{ link, handle, parent uint32 }

type filterOf struct {
	link, parent, handle uint32
	priority             uint16
}

// control is what traffic control counts: drops of queueing disciplines, and packets that
// filters took.
type control struct {
	queues  map[queueOf]model.Queue
	shapers map[queueOf]model.Shaper
	filters map[filterOf]model.TrafficFilter
}

// readControl reads it of all interfaces. What is gone when it is read counts nothing.
func readControl() (control, error) {
	c := control{queues: map[queueOf]model.Queue{}, shapers: map[queueOf]model.Shaper{}, filters: map[filterOf]model.TrafficFilter{}}
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return c, fmt.Errorf("list the interfaces: %w", err)
	}
	byIndex := map[int]netlink.Link{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l
	}
	all, err := netlink.QdiscList(nil)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return c, fmt.Errorf("list the queueing disciplines: %w", err)
	}
	var errs []error
	for _, q := range all {
		a := q.Attrs()
		link := byIndex[a.LinkIndex]
		if link == nil {
			continue
		}
		if a.Statistics != nil && a.Statistics.Queue != nil {
			c.queues[queueOf{uint32(a.LinkIndex), a.Handle, a.Parent}] = queue(q, link)
		}
		errs = append(errs, c.readShapers(q, link), c.readFilters(q, link, byIndex))
	}
	return c, errors.Join(errs...)
}

func queue(q netlink.Qdisc, link netlink.Link) model.Queue {
	a := q.Attrs()
	out := model.Queue{Interface: link.Attrs().Name, Kind: q.Type(), Handle: netlink.HandleStr(a.Handle), Dropped: uint64(a.Statistics.Queue.Drops)}
	if t, ok := q.(*netlink.Tbf); ok {
		out.Burst, out.MTU = uint64(netlink.Xmitsize(t.Rate, t.Buffer)), link.Attrs().MTU
	}
	return out
}

// readFilters reads those of a queueing discipline that can have some.
func (c control) readFilters(q netlink.Qdisc, link netlink.Link, byIndex map[int]netlink.Link) error {
	parents := []uint32{q.Attrs().Handle}
	switch {
	case q.Type() == "clsact":
		parents = []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS}
	case q.Attrs().Handle == 0: // the kernel's own, which has none
		return nil
	}
	for _, parent := range parents {
		all, err := netlink.FilterList(link, parent)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("list the filters of %s: %w", link.Attrs().Name, err)
		}
		for _, f := range all {
			a := f.Attrs()
			for _, action := range actionsOf(f) {
				to, takes := takesTo(action, byIndex)
				if s := action.Attrs().Statistics; takes && s != nil && s.Basic != nil {
					c.filters[filterOf{uint32(a.LinkIndex), parent, a.Handle, a.Priority}] = model.TrafficFilter{
						Interface: link.Attrs().Name, Egress: q.Type() != "ingress" && parent != netlink.HANDLE_MIN_INGRESS,
						Kind: f.Type(), Priority: a.Priority, To: to, Packets: uint64(s.Basic.Packets),
					}
				}
			}
		}
	}
	return nil
}

func actionsOf(f netlink.Filter) []netlink.Action {
	switch f := f.(type) {
	case *netlink.U32:
		return f.Actions
	case *netlink.MatchAll:
		return f.Actions
	case *netlink.Flower:
		return f.Actions
	case *netlink.FwFilter:
		return f.Actions
	}
	return nil
}

// takesTo reports whether an action keeps packets from going on, and to which interface it
// hands them instead.
func takesTo(a netlink.Action, byIndex map[int]netlink.Link) (to string, takes bool) {
	if m, ok := a.(*netlink.MirredAction); ok {
		if m.MirredAction != netlink.TCA_EGRESS_REDIR && m.MirredAction != netlink.TCA_INGRESS_REDIR {
			return "", false // a copy
		}
		if link := byIndex[m.Ifindex]; link != nil {
			return link.Attrs().Name, true
		}
		return fmt.Sprintf("interface %d", m.Ifindex), true
	}
	_, generic := a.(*netlink.GenericAction)
	return "", generic && a.Attrs().Action == netlink.TC_ACT_SHOT
}

// since is what was counted since an earlier look, by those that counted something.
func (c control) since(before control) model.Surroundings {
	var s model.Surroundings
	for at, q := range c.queues {
		if q.Dropped -= min(q.Dropped, before.queues[at].Dropped); q.Dropped > 0 && len(s.Queues) < maxControls {
			s.Queues = append(s.Queues, q)
		}
	}
	for at, x := range c.shapers {
		if x.Delayed -= min(x.Delayed, before.shapers[at].Delayed); (x.Delayed > 0 || x.Waiting > 0) && len(s.Shapers) < maxControls {
			s.Shapers = append(s.Shapers, x)
		}
	}
	for at, f := range c.filters {
		if f.Packets -= min(f.Packets, before.filters[at].Packets); f.Packets > 0 && len(s.Filters) < maxControls {
			s.Filters = append(s.Filters, f)
		}
	}
	return s
}
