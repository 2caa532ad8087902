// Package vm drives LXD instances and virtual machines of a host through their
// APIs: it makes them, pushes the one static binary in, runs it, and leaves
// nothing behind.
package vm

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"
)

// Server is what this package needs of an LXD server.
type Server interface {
	GetServer() (*api.Server, string, error)
	IsClustered() bool
	GetNetwork(name string) (*api.Network, string, error)
	GetNetworkState(name string) (*api.NetworkState, error)
	GetNetworks() ([]api.Network, error)
	CreateNetwork(network api.NetworksPost) error
	UpdateNetwork(name string, network api.NetworkPut, etag string) error
	DeleteNetwork(name string) error
	CreateStoragePool(pool api.StoragePoolsPost) error
	GetStoragePoolNames() ([]string, error)
	GetImages() ([]api.Image, error)
	DeleteImage(fingerprint string) (lxd.Operation, error)
	CreateImage(image api.ImagesPost, args *lxd.ImageCreateArgs) (lxd.Operation, error)
	GetImageAlias(name string) (*api.ImageAliasesEntry, string, error)
	CreateImageAlias(alias api.ImageAliasesPost) error
	CreateInstance(instance api.InstancesPost) (lxd.Operation, error)
	GetInstances(t api.InstanceType) ([]api.Instance, error)
	UpdateInstanceState(name string, state api.InstanceStatePut, etag string) (lxd.Operation, error)
	ExecInstance(name string, exec api.InstanceExecPost, args *lxd.InstanceExecArgs) (lxd.Operation, error)
	CreateInstanceFile(name, path string, args lxd.InstanceFileArgs) error
	GetInstanceLogfile(name, file string) (io.ReadCloser, error)
	DeleteInstance(name string) (lxd.Operation, error)
	GetOperations() ([]api.Operation, error)
	GetOperation(uuid string) (*api.Operation, string, error)
}

// The real client is such a server.
var _ Server = lxd.InstanceServer(nil)

// Connect waits until the LXD on the unix socket is there and ready, at most limit long.
func Connect(ctx context.Context, socket string, limit time.Duration) (Server, error) {
	return Remote{Address: socket}.connect(ctx, limit)
}

// connect tries to reach an LXD until it answers, at most limit long.
func connect(ctx context.Context, address string, limit time.Duration, dial func(context.Context) (lxd.InstanceServer, error)) (lxd.InstanceServer, error) {
	wait, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	server, err := backoff.Retry(wait, func() (lxd.InstanceServer, error) {
		// The client keeps its context for life, past the one of starting; what
		// waits for an operation brings its own. Until it has answered once it ends
		// with the wait, for a socket may take connections and never answer.
		life, end := context.WithCancelCause(context.WithoutCancel(ctx))
		stop := context.AfterFunc(wait, func() { end(context.Cause(wait)) })
		s, err := dial(life)
		if err == nil {
			_, _, err = s.GetServer()
		}
		if !stop() || err != nil {
			err = cmp.Or(err, context.Cause(wait))
			end(err)
			return nil, err
		}
		return s, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	if err != nil {
		return nil, fmt.Errorf("reach LXD on %s within %s: %w; is it installed (snap install lxd; Debian: apt-get install lxd), does it run, may this user use it (root, or the group lxd)? --lxd names another socket; Debian's is /var/lib/lxd/unix.socket", address, limit, err)
	}
	return server, nil
}
