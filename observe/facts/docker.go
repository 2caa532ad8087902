package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/docker/docker/client"

	"github.com/nestlab/nestlab/model"
)

// docker asks the daemon about itself; nil where no socket is.
func docker(ctx context.Context, host string) *model.DockerFacts {
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	cli, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return &model.DockerFacts{Error: fmt.Sprintf("make a Docker client; check DOCKER_HOST: %v", err)}
	}
	defer func() { _ = cli.Close() }() // only idle connections are left to close
	if u, err := client.ParseHostURL(cli.DaemonHost()); err == nil && u.Scheme == "unix" {
		if _, err := os.Stat(u.Host + u.Path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	info, err := cli.Info(ctx)
	if err != nil {
		return &model.DockerFacts{Error: fmt.Sprintf("ask the Docker daemon at %s about itself: %v", cli.DaemonHost(), err)}
	}
	f := &model.DockerFacts{
		Version:       info.ServerVersion,
		API:           cli.ClientVersion(),
		StorageDriver: info.Driver,
		Root:          info.DockerRootDir,
		CgroupVersion: info.CgroupVersion, CgroupDriver: info.CgroupDriver,
		Runtime: info.DefaultRuntime, RuntimeProgram: info.Runtimes[info.DefaultRuntime].Path,
		// Daemons before 28.1 do not name it, and have no other.
		Firewall: "iptables",
	}
	if info.FirewallBackend != nil && info.FirewallBackend.Driver != "" {
		f.Firewall = info.FirewallBackend.Driver
	}
	version, err := cli.ServerVersion(ctx)
	if err != nil {
		f.Error = fmt.Sprintf("ask the Docker daemon at %s for its version: %v", cli.DaemonHost(), err)
		return f
	}
	f.API, f.MinAPI = version.APIVersion, version.MinAPIVersion
	return f
}
