package realize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/vm"
)

// stock is a bridge as `lxd init` makes it.
func stock() map[string]string {
	return map[string]string{"ipv4.address": "auto", "ipv4.nat": "true", "ipv6.address": "auto", "ipv6.nat": "true"}
}

// bridge gives the instance a bridge of its own that differs from a stock one in
// the options; an empty one is left out. More are those that follow from the
// bridge's address, nil for none. A cluster has none of its own to give: it wants a
// network pending on each member first, and refuses addresses meanwhile.
func (m *Maker) bridge(ctx context.Context, server vm.Server, i *instance, options map[string]string,
	more func(own netip.Prefix) map[string]string,
) (func(context.Context) error, error) {
	if server.IsClustered() {
		return nil, inapplicable("it needs a bridge of its own, and this LXD is a cluster, which takes one only after each member was told of it: try it on an LXD that is none")
	}
	name := short(i.At)
	if err := removeBridge(ctx, server, name, i.Owner, i.Instance); err != nil {
		return nil, err
	}
	config := stock()
	maps.Copy(config, options)
	maps.DeleteFunc(config, func(_, value string) bool { return value == "" })
	maps.Copy(config, vm.OwnConfig(i.At.Key(), i.Owner))
	err := vm.Do(ctx, func() error {
		return server.CreateNetwork(api.NetworksPost{Name: name, Type: "bridge", NetworkPut: api.NetworkPut{
			Config: config, Description: "nestlab: " + i.At.String(),
		}})
	})
	after := func(ctx context.Context) error { return removeBridge(ctx, server, name, i.Owner, i.Instance) }
	if err != nil {
		return after, fmt.Errorf("make the bridge %s of %s: %w", name, i.At, err)
	}
	i.Network = name
	if more == nil {
		return after, nil
	}
	own, found, err := lookAt(ctx, server, name)
	if err != nil {
		return after, err
	}
	put := found.network.Writable()
	maps.Copy(put.Config, more(own))
	if err := vm.Do(ctx, func() error { return server.UpdateNetwork(name, put, found.etag) }); err != nil {
		return after, fmt.Errorf("set the options of the bridge %s: %w", name, err)
	}
	return after, nil
}

// state is a network as LXD has it, with the tag that a change of it names.
type state struct {
	network *api.Network
	etag    string
}

// lookAt gives a bridge, and LXD's own address on it.
func lookAt(ctx context.Context, server vm.Server, name string) (netip.Prefix, state, error) {
	found, err := vm.Within(ctx, func() (s state, err error) {
		s.network, s.etag, err = server.GetNetwork(name)
		return s, err
	})
	if err != nil {
		return netip.Prefix{}, state{}, fmt.Errorf("look at the bridge %s: %w", name, err)
	}
	own, err := netip.ParsePrefix(found.network.Config["ipv4.address"])
	if err != nil {
		return netip.Prefix{}, state{}, fmt.Errorf("the bridge %s has no IPv4 address: %w", name, err)
	}
	return own, found, nil
}

// removeBridge removes a bridge of nestlab's, where it is there, and before it
// the instance on it that a killed run left.
func removeBridge(ctx context.Context, server vm.Server, name string, mine *owner.Owner, on *vm.Instance) error {
	networks, err := vm.Within(ctx, server.GetNetworks)
	if err != nil {
		return fmt.Errorf("list LXD's networks: %w", err)
	}
	for _, n := range networks {
		if n.Name != name {
			continue
		}
		if n.Config[vm.Marker] == "" {
			return fmt.Errorf("the network %s is there and is not nestlab's: rename or remove it", name)
		}
		if err := vm.Used(server, "the network "+name, n.Config[vm.OwnerKey], mine); err != nil {
			return err
		}
		if on != nil && len(n.UsedBy) > 0 {
			if err := on.Sweep(ctx); err != nil {
				return err
			}
		}
		if err := vm.Do(ctx, func() error { return server.DeleteNetwork(name) }); err != nil {
			return fmt.Errorf("remove the bridge %s: %w", name, err)
		}
	}
	return nil
}

// sweep removes, once, what a killed run left of scenarios that this one may not
// have: bridges that nothing is on, and proxies. Those of a run that lives stay.
func (m *Maker) sweep(ctx context.Context, server vm.Server) error {
	m.once.Do(func() { m.left = errors.Join(m.sweepProxies(ctx), sweepBridges(ctx, server)) })
	return m.left
}

func sweepBridges(ctx context.Context, server vm.Server) error {
	networks, err := vm.Within(ctx, server.GetNetworks)
	if err != nil {
		return fmt.Errorf("list LXD's networks: %w", err)
	}
	var errs []error
	for _, n := range networks {
		if n.Config[vm.Marker] != "" && len(n.UsedBy) == 0 && vm.Used(server, n.Name, n.Config[vm.OwnerKey], nil) == nil {
			errs = append(errs, removeBridge(ctx, server, n.Name, nil, nil))
		}
	}
	return errors.Join(errs...)
}

func (m *Maker) sweepProxies(ctx context.Context) error {
	if !m.Here || m.Journal == "" {
		return nil
	}
	left, err := SweepProxies(ctx, m.Journal, false, false)
	if len(left) > 0 {
		fmt.Fprintf(m.Progress, "stopped %d proxies that a killed run left\n", len(left))
	}
	return err
}

// SweepProxies stops the proxies that the journal of a killed run names, with every those
// of any run, or with dry only lists them. A journal that is not there is not locked: that
// would make its directory, which takes root.
func SweepProxies(ctx context.Context, journal string, every, dry bool) (left []string, err error) {
	if _, err := os.Stat(journal); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	host := remedy.Host{Journal: journal, Sole: true}
	var found []model.Remedy
	switch {
	case every && dry:
		found, err = host.Applied()
	case dry:
		found, err = host.Over()
	case every:
		found, err = host.RevertAll(ctx)
	default:
		found, _, err = host.Recover(ctx)
	}
	for _, f := range found {
		left = append(left, remedy.Text(f))
	}
	if err != nil {
		err = fmt.Errorf("stop the proxies that a killed run left: %w", err)
	}
	return left, err
}
