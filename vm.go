package main

import (
	"context"
	"errors"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
)

// Vm probes a container and a virtual machine of a real LXD, by socket or https.
// What it makes there it removes again. For the control, and to prove a cause, run
// `nestlab vm run` of host-step on that machine instead, or join with compare.
//
// +cache="never"
func (m *Nestlab) Vm(
	ctx context.Context,
	// LXD's unix socket, such as /var/snap/lxd/common/lxd/unix.socket.
	// +optional
	lxd *dagger.Socket,
	// Address of an LXD to use instead of a socket: https://HOST:PORT.
	// +optional
	address string,
	// The client's certificate (PEM) that this LXD trusts.
	// +optional
	clientCert *dagger.File,
	// The key of that certificate (PEM).
	// +optional
	clientKey *dagger.Secret,
	// The certificate of the LXD (PEM), where no known authority signed it.
	// +optional
	serverCert *dagger.File,
	// File to import as the image instead, and to remove again: a unified one, or the metadata of one in two files.
	// +optional
	imageFile *dagger.File,
	// The image's second file (squashfs or qcow2), where the first is its metadata only.
	// +optional
	rootfsFile *dagger.File,
	// Image of the instances: an alias, or a fingerprint of 12 digits or more.
	// +default="ubuntu/24.04"
	image string,
	// Simplestreams server that has the image; empty where LXD has it itself.
	// +default="https://images.lxd.canonical.com"
	imageServer string,
	// lxd-container, lxd-vm (repeatable; default both).
	// +optional
	environments []string,
	// Scenarios to try beside them, as docs/scenarios.md lists them: names, families or patterns; !PATTERN leaves out (repeatable; default none).
	// +optional
	scenarios []string,
	// Script of the scenario convenience-script.
	// +default="https://get.docker.com/"
	script string,
	// Packages (*.deb) and images (*.tar) of the scenario cached; without them it is skipped.
	// +optional
	cache *dagger.Directory,
	// LXD network of the instances' NIC.
	// +default="lxdbr0"
	network string,
	// Storage pool of their root.
	// +default="default"
	pool string,
	// LXD project; LXD's own if empty.
	// +optional
	project string,
	// Cluster member to put the instances on; LXD's choice if empty.
	// +optional
	member string,
	// Further configuration keys as KEY=VALUE, such as limits.memory=2GiB (repeatable).
	// +optional
	config []string,
	// Keys of a device of every instance as NAME,KEY=VALUE,..., such as root,size=10GiB (repeatable).
	// +optional
	device []string,
	// Address families of the instances: all, or v4 to have IPv6 off in them and their apt forced to IPv4.
	// +default="all"
	family string,
	// Target set to probe instead of the live one.
	// +optional
	targets *dagger.File,
	// azure, github-hosted or unknown decide what is expected to fail; auto looks at the machine.
	// +default="auto"
	platform string,
	// Number of retries after a transient failure; every attempt is kept.
	// +default=0
	retries int,
) (*Run, error) {
	server := pipelines.LXD{Socket: lxd, Address: address, ClientCert: clientCert, ClientKey: clientKey, ServerCert: serverCert}
	if err := server.Validate(); err != nil {
		return nil, err
	}
	if rootfsFile != nil && imageFile == nil {
		return nil, errors.New("--rootfs-file is the second file of an image: give the first with --image-file")
	}
	keys, err := spec.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	h := spec.NewHostRun()
	h.Environments, h.Scenarios, h.Image, h.ImageServer, h.Script = environments, scenarios, image, imageServer, script
	h.Network, h.Pool, h.Project, h.Member, h.Config, h.Devices, h.Family = network, pool, project, member, keys, device, spec.Family(family)
	h.Platform, h.Retries = spec.Platform(platform), retries
	if imageFile != nil {
		h.Image, h.ImageServer = pipelines.ImagePath, ""
	}
	if len(environments) == 0 {
		h.Environments = []string{model.EnvLXDContainer, model.EnvLXDVM}
	}
	// It runs in a container: the machine itself is not to be seen, nor are its guests.
	if _, err := h.PlanOn(spec.Host{Elsewhere: "dagger call vm runs in a container beside LXD's machine"}); err != nil {
		return nil, err
	}
	o := pipelines.Options{Images: m.images(), Targets: targets}
	if err := o.Check(ctx, h, spec.Live); err != nil {
		return nil, err
	}
	dir, err := o.VM(h, server, pipelines.Files{Image: imageFile, Rootfs: rootfsFile, Cache: cache})
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}
