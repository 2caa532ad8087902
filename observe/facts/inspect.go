package facts

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// Inspect reads what a place sees of its network right now, after this result. What
// cannot be read is named in Errors.
func Inspect(ctx context.Context, failed model.Result) model.Inspection {
	i := model.Inspection{
		Place: failed.Place, Round: failed.Round, Taken: time.Now().UTC(), Probe: failed.Probe, Target: failed.Target,
		Neighbours: []model.Neighbour{},
	}
	c := &collector{}
	c.do(ctx, "the interfaces", readDeadline, interfaces)
	c.do(ctx, "the routes", readDeadline, routes)
	c.do(ctx, "the resolvers", readDeadline, resolvers)
	found := make(chan []model.Neighbour, 1)
	c.do(ctx, "the neighbours", readDeadline, func(context.Context, *model.Facts) error {
		list, err := neighbours()
		found <- list
		return err
	})
	select {
	case i.Neighbours = <-found:
	default: // it took too long, and is in the errors
	}
	i.Interfaces, i.Routes, i.Resolvers, i.Errors = c.facts.Interfaces, c.facts.Routes, c.facts.Resolvers, c.facts.Errors
	i.DHCP = askDHCP(ctx, i.Interfaces)
	return i
}

// neighbours reads the kernel's table of both families, without what it has of
// multicast, which nobody has asked for.
func neighbours() ([]model.Neighbour, error) {
	all := []model.Neighbour{}
	links, err := netlink.LinkList()
	if err != nil {
		return all, fmt.Errorf("list links: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	list, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return all, fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range list {
		if n.IP == nil || n.IP.IsMulticast() || n.State&unix.NUD_NOARP != 0 || n.Family != unix.AF_INET && n.Family != unix.AF_INET6 {
			continue
		}
		all = append(all, model.Neighbour{
			Address: n.IP.String(), Device: names[n.LinkIndex], MAC: n.HardwareAddr.String(), State: neighbourState(n.State),
		})
	}
	return all, nil
}

func neighbourState(bits int) string {
	for _, s := range []struct {
		bit  int
		name string
	}{
		{unix.NUD_REACHABLE, "reachable"}, {unix.NUD_STALE, "stale"}, {unix.NUD_DELAY, "delay"}, {unix.NUD_PROBE, "probe"},
		{unix.NUD_INCOMPLETE, "incomplete"}, {unix.NUD_FAILED, "failed"}, {unix.NUD_PERMANENT, "permanent"},
	} {
		if bits&s.bit != 0 {
			return s.name
		}
	}
	return "none"
}
