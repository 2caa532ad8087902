package pipelines

import (
	"strconv"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/internal/dagger"
)

// Instances are those that a call makes on an LXD.
type Instances struct {
	// Environments are lxd-container and lxd-vm.
	Environments []string
	// Image is an alias or a fingerprint; ImageServer is the simplestreams server
	// that has it, empty where LXD does.
	Image, ImageServer string
	// Network and Pool are LXD's; Project and Member are empty for LXD's own choice.
	Network, Pool, Project, Member string
	// Config are further configuration keys as KEY=VALUE.
	Config []string
}

const lxdSocketPath = "/run/nestlab/lxd.socket"

// VM runs the suite in instances of an LXD that is reached by its socket. It
// returns the directory of the run.
func (o Options) VM(lxd *dagger.Socket, i Instances) *dagger.Directory {
	args := []string{
		dind.BinaryPath, "vm", "run", "--lxd", lxdSocketPath, "--image", i.Image, "--image-server", i.ImageServer,
		"--network", i.Network, "--pool", i.Pool, "--project", i.Project, "--member", i.Member,
		"--platform", o.platform(), "--retries", strconv.Itoa(o.Retries), "--out", outPath,
	}
	for _, e := range i.Environments {
		args = append(args, "--environments", e)
	}
	for _, c := range i.Config {
		args = append(args, "--config", c)
	}
	return o.observe(o.Images.Plain().WithUnixSocket(lxdSocketPath, lxd), true, args...)
}
