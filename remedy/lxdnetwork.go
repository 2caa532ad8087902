package remedy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	lxd "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// lxdSetting is one key of an LXD network, which LXD alone may change: it runs the
// bridge's DHCP server and writes its rules.
type lxdSetting struct {
	Socket  string `json:"socket"`
	Network string `json:"network"`
	Key     string `json:"key"`
	Before  string `json:"before"`
	After   string `json:"after"`
}

func (l *lxdSetting) String() string {
	return fmt.Sprintf("%s=%s of LXD's network %s", l.Key, l.After, l.Network)
}
func (l *lxdSetting) lasts() bool  { return true }
func (l *lxdSetting) over() string { return l.Network + " " + l.Key }

// read gives the network; false where LXD has none of that name any more.
func (l *lxdSetting) read(ctx context.Context) (lxd.InstanceServer, *api.Network, string, error) {
	server, err := lxd.ConnectLXDUnixWithContext(ctx, l.Socket, &lxd.ConnectionArgs{SkipGetServer: true})
	if err != nil {
		return nil, nil, "", fmt.Errorf("reach LXD at %s; name another with socket=: %w", l.Socket, err)
	}
	network, tag, err := server.GetNetwork(l.Network)
	if api.StatusErrorCheck(err, http.StatusNotFound) {
		return server, nil, "", nil
	}
	if err != nil {
		return nil, nil, "", fmt.Errorf("ask LXD for its network %s: %w", l.Network, err)
	}
	return server, network, tag, nil
}

// set changes the setting. LXD 5.0 starts the bridge's new DHCP server beside the one
// before it and takes the change back when that still has the address: it is then
// made again.
func (l *lxdSetting) set(ctx context.Context, from, to string) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := l.change(ctx, from, to)
		if err != nil && !strings.Contains(err.Error(), "Address already in use") {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(500*time.Millisecond)), backoff.WithMaxElapsedTime(20*time.Second))
	return err
}

func (l *lxdSetting) change(ctx context.Context, from, to string) error {
	server, network, tag, err := l.read(ctx)
	if err != nil || network == nil || network.Config[l.Key] != from {
		return err
	}
	put := network.Writable()
	put.Config[l.Key] = to
	if err := server.UpdateNetwork(l.Network, put, tag); err != nil {
		return fmt.Errorf("set %s of LXD's network %s: %w", l.Key, l.Network, err)
	}
	return nil
}

func (l *lxdSetting) do(ctx context.Context, _ func() error) error {
	return l.set(ctx, l.Before, l.After)
}

// undo leaves alone what someone else has set meanwhile.
func (l *lxdSetting) undo(ctx context.Context) error { return l.set(ctx, l.After, l.Before) }

func (l *lxdSetting) in(ctx context.Context) (bool, error) {
	_, network, _, err := l.read(ctx)
	return network != nil && network.Config[l.Key] == l.After, err
}

const snapSocket = "/var/snap/lxd/common/lxd/unix.socket"

func planBridgeSubnet(ctx context.Context, parameters map[string]string) ([]record, error) {
	wanted, err := netip.ParsePrefix(parameters["address"])
	if err != nil {
		return nil, fmt.Errorf("read the address: %w", err)
	}
	// The two packages of LXD put their socket in different places.
	if _, missing := os.Stat(parameters["socket"]); missing != nil && parameters["socket"] == catalogue.LXDSocket {
		parameters["socket"] = snapSocket
	}
	s := &lxdSetting{Socket: parameters["socket"], Network: parameters["bridge"], Key: "ipv4.address", After: wanted.String()}
	_, network, _, err := s.read(ctx)
	switch {
	case err != nil:
		return nil, err
	case network == nil || !network.Managed || network.Type != "bridge":
		return nil, fmt.Errorf("%s is no bridge that LXD manages; `lxc network list` shows those", s.Network)
	}
	if s.Before = network.Config[s.Key]; s.Before == s.After {
		return nil, fmt.Errorf("the bridge has that address already: %w", ErrNothing)
	}
	return []record{{LXD: s}}, nil
}
