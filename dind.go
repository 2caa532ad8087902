package main

import (
	"context"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
)

// Dind is a Docker-in-Docker to use: as a service, a container, an image, or bound to a
// container of your own. The service runs on this engine with all root capabilities.
type Dind struct {
	// +private
	Lab *Nestlab
	// +private
	StorageDriver string
	// +private
	Mtu int
	// +private
	AddressPools []string
	// +private
	RegistryMirrors []string
	// +private
	InsecureRegistries []string
	// +private
	Method string
	// +private
	Phase string
	// +private
	Version string
	// +private
	Tls bool
	// +private
	DataVolume string
	// +private
	Archives []*dagger.File
	// +private
	References []string
	// +private
	Certs *dagger.Directory
}

// Dind hands out Docker-in-Docker: a dockerd whose settings fit where it runs. What is not
// given is chosen when it starts; each choice is one line of its log.
//
// +cache="session"
func (m *Nestlab) Dind(
	// Image of Debian, or a relative with apt, to use instead of the module's own base.
	// +optional
	base string,
	// How Docker is installed: distro.
	// +default="distro"
	method string,
	// When Docker is installed: build-time (in the image) or runtime (when the service starts).
	// +default="build-time"
	phase string,
	// Version of the Docker package; the newest if empty.
	// +optional
	version string,
	// overlay2 or vfs; if empty, what works on the data root.
	// +optional
	storageDriver string,
	// MTU of the daemon's networks; 0 for the uplink's, at most 1500.
	// +optional
	mtu int,
	// IPv4 network that the daemon's networks, of /24 each, are cut from (repeatable); if empty, one that nothing around it uses.
	// +optional
	addressPool []string,
	// URL of a mirror of Docker Hub, besides the module's own (repeatable).
	// +optional
	registryMirror []string,
	// HOST[:PORT] or network of a registry that is asked without TLS too (repeatable).
	// +optional
	insecureRegistry []string,
	// Serve on port 2376 to clients with a certificate only, instead of on 2375 to all.
	// +optional
	tls bool,
	// Name of a cache volume that keeps images, containers and volumes; a second daemon on it is refused. Empty for a data root that begins empty.
	// +optional
	dataVolume string,
) (*Dind, error) {
	lab := *m
	if base != "" {
		lab.Base = base
	}
	d := &Dind{
		Lab: &lab, Method: method, Phase: phase, Version: version, StorageDriver: storageDriver, Mtu: mtu, Tls: tls, DataVolume: dataVolume,
		AddressPools: addressPool, RegistryMirrors: append(registryMirror, m.RegistryMirrors...), InsecureRegistries: insecureRegistry,
	}
	if err := d.request().Validate(); err != nil {
		return nil, err
	}
	if tls {
		d.Certs = lab.images().Certificates()
	}
	return d, nil
}

func (d *Dind) request() spec.Docker {
	return spec.Docker{
		Method: spec.Method(d.Method), Phase: spec.Phase(d.Phase), Version: d.Version,
		StorageDriver: spec.StorageDriver(d.StorageDriver), MTU: d.Mtu, AddressPools: d.AddressPools,
		Mirrors: d.RegistryMirrors, Insecure: d.InsecureRegistries, TLS: d.Tls, Data: d.DataVolume,
	}
}

func (d *Dind) docker() pipelines.Docker {
	return pipelines.Docker{
		Images: d.Lab.images(), Request: d.request(), Archives: d.Archives, References: d.References, Certificates: d.Certs,
	}
}

// WithImage has the daemon start with an image that is built on this engine, without a registry.
func (d *Dind) WithImage(
	// What the image is called in the daemon, such as app:dev.
	ref string,
	// The image.
	container *dagger.Container,
) *Dind {
	return d.WithImageArchive(container.AsTarball(dagger.ContainerAsTarballOpts{MediaTypes: dagger.ImageMediaTypesDockerMediaTypes}), ref)
}

// WithImageArchive has the daemon start with the image of an archive, as docker save writes
// it. One that the data volume has already is not loaded again.
func (d *Dind) WithImageArchive(
	// The archive, of one image.
	archive *dagger.File,
	// What the image is called in the daemon; its names in the archive if empty.
	// +optional
	ref string,
) *Dind {
	d.Archives, d.References = append(d.Archives, archive), append(d.References, ref)
	return d
}

// Service is the daemon, started, on port 2375, or 2376 with TLS: its API answers. One that
// does not start is an error with dockerd's own last words and the cause.
//
// +cache="session"
func (d *Dind) Service(ctx context.Context) (*dagger.Service, error) {
	return d.docker().Service(ctx)
}

// Image is the daemon to be run elsewhere, privileged: export or publish it. The same
// packages give the same digest. With TLS mount what certificates gives to
// /etc/nestlab/docker-certs.
func (d *Dind) Image() (*dagger.Container, error) { return d.docker().Image() }

// Container has Docker's command line and the daemon: try it with terminal, or with-exec.
//
// +cache="session"
func (d *Dind) Container(ctx context.Context) (*dagger.Container, error) {
	return d.docker().Container(ctx)
}

// Client gives a container the daemon: bound as docker, with DOCKER_HOST, certificates where
// it wants them, and NO_PROXY. Ports that containers publish are docker's ports.
//
// +cache="session"
func (d *Dind) Client(ctx context.Context,
	// The container, with a Docker client of its own.
	container *dagger.Container,
) (*dagger.Container, error) {
	return d.docker().Client(ctx, container)
}

// Testcontainers gives a container the daemon as Testcontainers look for one, in any
// language: as client does, with the host that published ports are on.
//
// +cache="session"
func (d *Dind) Testcontainers(ctx context.Context,
	// The container that the tests run in.
	container *dagger.Container,
) (*dagger.Container, error) {
	return d.docker().Testcontainers(ctx, container)
}

// Certificates are those of the server and of its clients, in a directory each, for a
// daemon that is reached by `up`. It is empty without TLS.
func (d *Dind) Certificates() *dagger.Directory {
	if d.Certs == nil {
		return dag.Directory()
	}
	return d.Certs
}
