package remedy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routing is a policy rule of nestlab's own that leads to the table main.
type routing struct {
	Network  string `json:"network"`
	To       bool   `json:"to,omitempty"` // the network is where packets go to, not come from
	Priority int    `json:"priority"`
}

func (r *routing) String() string {
	way := "from"
	if r.To {
		way = "to"
	}
	return fmt.Sprintf("ip rule %s %s lookup main priority %d", way, r.Network, r.Priority)
}
func (r *routing) lasts() bool  { return false }
func (r *routing) over() string { return "" }

// rule is the policy rule, which lists are compared with.
func (r *routing) rule() (*netlink.Rule, error) {
	n, err := netip.ParsePrefix(r.Network)
	if err != nil {
		return nil, fmt.Errorf("read the network: %w", err)
	}
	ip := &net.IPNet{IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), n.Addr().BitLen())}
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority = netlink.FAMILY_V4, unix.RT_TABLE_MAIN, r.Priority
	if n.Addr().Is6() {
		rule.Family = netlink.FAMILY_V6
	}
	if r.To {
		rule.Dst = ip
	} else {
		rule.Src = ip
	}
	return rule, nil
}

func (r *routing) do(context.Context, func() error) error {
	rule, err := r.rule()
	if err != nil {
		return err
	}
	return netlink.RuleAdd(rule)
}

func (r *routing) undo(context.Context) error {
	rule, err := r.rule()
	if err != nil {
		return err
	}
	if err := netlink.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func (r *routing) in(context.Context) (bool, error) {
	want, err := r.rule()
	if err != nil {
		return false, err
	}
	all, err := netlink.RuleList(want.Family)
	if err != nil {
		return false, fmt.Errorf("list the policy rules: %w", err)
	}
	text := func(n *net.IPNet) string {
		if n == nil {
			return ""
		}
		return n.String()
	}
	return slices.ContainsFunc(all, func(x netlink.Rule) bool {
		return x.Priority == want.Priority && x.Table == want.Table && text(x.Src) == text(want.Src) && text(x.Dst) == text(want.Dst)
	}), nil
}

func planRouteByMain(ctx context.Context, parameters map[string]string) ([]record, error) {
	priority, err := strconv.Atoi(parameters["priority"])
	if err != nil {
		return nil, fmt.Errorf("read the priority: %w", err)
	}
	var steps []record
	for _, way := range []string{"from", "to"} {
		if parameters["way"] != way && parameters["way"] != "both" {
			continue
		}
		r := &routing{Network: parameters["network"], To: way == "to", Priority: priority}
		there, err := r.in(ctx)
		if err != nil {
			return nil, err
		}
		if !there {
			steps = append(steps, record{Routing: r})
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("that rule is there already: %w", ErrNothing)
	}
	return steps, nil
}
