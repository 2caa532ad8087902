package faults

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coreos/go-iptables/iptables"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world"
)

// forwarding are the faults of the runner's own way of passing packets on.
func forwarding() []Fault {
	return []Fault{
		{
			Name: "docker-forward-drop", About: "the policy of the runner's iptables FORWARD chain is DROP, as dockerd sets it when it starts first",
			Affects: instances(), Break: breakPolicy,
		},
		{
			Name: "firewall-forward-drop", About: "an nftables rule of the runner's administrator drops what is forwarded to the uplink",
			Affects: guests(), Break: breakForward,
		},
		{
			Name: "nat-off", About: "LXD's bridge has ipv4.nat=false: guests leave with addresses that nobody can answer",
			Affects: instances(), Break: breakNAT,
		},
		{
			Name: "ip-forward-off", About: "net.ipv4.ip_forward of the runner is 0",
			Affects: guests(), Break: breakIPForward,
		},
		{
			Name: "v6-no-route", About: "guests get IPv6 addresses and prefer them, and there is no IPv6 route beyond the runner",
			Affects: instances(), Break: breakRoute6,
		},
		{
			Name: "dns-blocked", About: "the runner's firewall drops DNS from guests, to itself and to the outside",
			Affects: guests(), Break: breakGuestDNS,
		},
		{
			Name: "dhcp-blocked", About: "the runner's firewall drops DHCP from guests",
			Affects: instances(), Break: breakDHCP,
		},
	}
}

// breakRoute6 has LXD give its guests IPv6 addresses and a default route, as on a
// runner that once had IPv6 itself. They prefer what leads nowhere: beyond the
// runner there is no route.
func breakRoute6(ctx context.Context, lab Lab) (Restore, error) {
	return setBridge(ctx, lab, "ipv6.address", "2001:db8:77::1/64", "none")
}

// setBridge gives a setting of LXD's bridge another value.
func setBridge(ctx context.Context, lab Lab, key, value, before string) (Restore, error) {
	set := func(ctx context.Context, value string) error {
		_, err := backoff.Retry(ctx, func() (struct{}, error) {
			err := run(ctx, lab, "lxc", "network", "set", "lxdbr0", key, value)
			if err != nil && !strings.Contains(err.Error(), addressInUse) {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}, backoff.WithBackOff(backoff.NewConstantBackOff(500*time.Millisecond)), backoff.WithMaxElapsedTime(20*time.Second))
		if err != nil {
			return fmt.Errorf("set %s of lxdbr0 to %s (does LXD run in the simulated runner?): %w", key, value, err)
		}
		return nil
	}
	if err := set(ctx, value); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return set(ctx, before) }, nil
}

// addressInUse is what LXD 5.0's dnsmasq says where the one before it has not ended
// yet: LXD does not wait for that.
const addressInUse = "Address already in use"

// breakPolicy sets what dockerd sets. Where it has done so already nothing is to
// be broken, and nothing to be restored.
func breakPolicy(_ context.Context, lab Lab) (Restore, error) {
	was := ""
	err := lab.InRunner(func() error {
		tables, err := iptables.New(iptables.Timeout(10))
		if err != nil {
			return fmt.Errorf("find iptables: %w", err)
		}
		rules, err := tables.List("filter", "FORWARD")
		if err != nil {
			return fmt.Errorf("list the FORWARD chain: %w", err)
		}
		if was = strings.TrimPrefix(rules[0], "-P FORWARD "); was == "DROP" {
			return nil
		}
		return tables.ChangePolicy("filter", "FORWARD", "DROP")
	})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		return lab.InRunner(func() error {
			tables, err := iptables.New(iptables.Timeout(10))
			if err != nil {
				return fmt.Errorf("find iptables: %w", err)
			}
			return tables.ChangePolicy("filter", "FORWARD", was)
		})
	}, nil
}

func breakForward(_ context.Context, lab Lab) (Restore, error) {
	return ruleset{name: "site", chains: []ruleChain{{
		name: "forward", hook: nftables.ChainHookForward, priority: nftables.ChainPriorityFilter,
		rules: [][]expr.Any{rule(family(unix.NFPROTO_IPV4), to(world.RunnerLink), drop())},
	}}}.put(lab.InRunner)
}

// breakNAT goes through LXD, which owns the rule.
func breakNAT(ctx context.Context, lab Lab) (Restore, error) {
	return setBridge(ctx, lab, "ipv4.nat", "false", "true")
}

func breakIPForward(_ context.Context, lab Lab) (Restore, error) {
	const file = "/proc/sys/net/ipv4/ip_forward"
	var was []byte
	err := lab.InRunner(func() (err error) {
		if was, err = os.ReadFile(file); err != nil {
			return err
		}
		return os.WriteFile(file, []byte("0"), 0o644)
	})
	if err != nil {
		return nil, fmt.Errorf("turn ip_forward off: %w", err)
	}
	return func(context.Context) error {
		return lab.InRunner(func() error { return os.WriteFile(file, was, 0o644) })
	}, nil
}

// fromGuests matches what comes from neither the runner itself nor the uplink.
func fromGuests() []expr.Any { return rule(notFrom("lo"), notFrom(world.RunnerLink)) }

func breakGuestDNS(_ context.Context, lab Lab) (Restore, error) {
	const dns = 53
	rules := [][]expr.Any{
		rule(fromGuests(), transport(unix.IPPROTO_UDP, dns), drop()),
		rule(fromGuests(), transport(unix.IPPROTO_TCP, dns), drop()),
	}
	return ruleset{name: "site-names", chains: []ruleChain{
		{name: "input", hook: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter, rules: rules},
		{name: "forward", hook: nftables.ChainHookForward, priority: nftables.ChainPriorityFilter, rules: rules},
	}}.put(lab.InRunner)
}

func breakDHCP(_ context.Context, lab Lab) (Restore, error) {
	const dhcpServer = 67
	return ruleset{name: "site-leases", chains: []ruleChain{{
		name: "input", hook: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter,
		rules: [][]expr.Any{rule(fromGuests(), transport(unix.IPPROTO_UDP, dhcpServer), drop())},
	}}}.put(lab.InRunner)
}
