package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// uplink are the faults of what is behind the runner's network card.
func uplink() []Fault {
	return []Fault{
		{
			Name: "upstream-blocks-guests", About: "the network behind the runner drops what comes from guests, which it knows by its smaller TTL",
			Affects: guests(), Break: breakGuests,
		},
		{
			Name: "mtu-blackhole", About: "the network behind the runner silently drops packets of more than 1300 bytes",
			Affects: environments(), Break: breakMTU,
		},
		{
			Name: "proxy-required", About: "HTTP is answered 407 by a proxy, and direct HTTPS is reset",
			Affects: environments(), Break: breakDirect,
		},
	}
}

// initialTTL is what Linux sends with; each machine that forwards takes one off.
const initialTTL = 64

func breakGuests(_ context.Context, lab Lab) (Restore, error) {
	return ruleset{name: "upstream", chains: []ruleChain{{
		name: "guests", hook: nftables.ChainHookPrerouting, priority: nftables.ChainPriorityRaw,
		rules: [][]expr.Any{rule(from(world.InternetLink), ttlBelow(initialTTL), drop())},
	}}}.put(lab.InInternet)
}

// pathMTU is what passes, in bytes of IP.
const pathMTU = 1300

// breakMTU drops long packets in both directions and says nothing. The wire
// would carry several segments as one long packet, which no real network has:
// that is turned off meanwhile.
func breakMTU(_ context.Context, lab Lab) (Restore, error) {
	rules := ruleset{name: "path", chains: []ruleChain{
		{
			name: "in", hook: nftables.ChainHookPrerouting, priority: nftables.ChainPriorityRaw,
			rules: [][]expr.Any{rule(from(world.InternetLink), longerThan(pathMTU), drop())},
		},
		{
			name: "out", hook: nftables.ChainHookPostrouting, priority: nftables.ChainPriorityRaw,
			rules: [][]expr.Any{rule(to(world.InternetLink), longerThan(pathMTU), drop())},
		},
	}}
	unjoin, err := segments(lab)
	if err != nil {
		return nil, err
	}
	restore, err := rules.put(lab.InInternet)
	if err != nil {
		return nil, errors.Join(err, unjoin())
	}
	return func(ctx context.Context) error { return errors.Join(restore(ctx), unjoin()) }, nil
}

// segments makes both ends of the wire carry one segment at a time.
func segments(lab Lab) (undo func() error, err error) {
	var undos []func() error
	undo = func() error {
		var errs []error
		for _, u := range undos {
			errs = append(errs, u())
		}
		return errors.Join(errs...)
	}
	for _, end := range []struct {
		in   place
		name string
	}{{lab.InRunner, world.RunnerLink}, {lab.InInternet, world.InternetLink}} {
		was := uint32(0)
		err := end.in(func() (err error) { was, err = setSegments(end.name, 1); return err })
		if err != nil {
			return nil, errors.Join(err, undo())
		}
		undos = append(undos, func() error {
			return end.in(func() error { _, err := setSegments(end.name, was); return err })
		})
	}
	return undo, nil
}

// setSegments sets how many segments a link takes at once, and gives how many it took before.
func setSegments(name string, n uint32) (was uint32, err error) {
	l, err := netlink.LinkByName(name)
	if err == nil {
		was = l.Attrs().GSOMaxSegs
		err = netlink.LinkSetGSOMaxSegs(l, int(n))
	}
	if err != nil {
		return 0, fmt.Errorf("set the number of segments that %s takes at once: %w", name, err)
	}
	return was, nil
}

// breakDirect lets nobody out but by a proxy, which wants to know who it is.
func breakDirect(ctx context.Context, lab Lab) (Restore, error) {
	const https = 443
	restore, err := ruleset{name: "gateway", chains: []ruleChain{{
		name: "direct", hook: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter,
		rules: [][]expr.Any{rule(from(world.InternetLink), transport(unix.IPPROTO_TCP, https), reset())},
	}}}.put(lab.InInternet)
	if err != nil {
		return nil, err
	}
	undo, err := lab.Behave(ctx, func(b *internet.Behavior) {
		b.Answers = append(b.Answers, internet.Answer{
			Status: http.StatusProxyAuthRequired, Body: "use the proxy\n",
			Header: map[string]string{"Proxy-Authenticate": `Basic realm="gateway"`},
		})
	})
	if err != nil {
		return nil, errors.Join(err, restore(ctx))
	}
	return func(ctx context.Context) error { return errors.Join(undo(ctx), restore(ctx)) }, nil
}
