package main

import (
	"context"
	"strings"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
)

// Dind is a Docker-in-Docker to use: as a service, a container, an image, or bound to a
// container of your own. The service runs on this engine with all root capabilities.
type Dind struct {
	// +private
	Lab *Nestlab
	// Request is what is asked for, as the binary takes it.
	// +private
	Request string
	// +private
	Packages *dagger.Directory
	// +private
	PackageMirror *dagger.Service
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
	// How Docker is installed: distro (the distribution's package), docker-ce (the vendor's packages), script (the vendor's script), static (the vendor's archive) or cached (packages that are given).
	// +default="distro"
	method string,
	// When Docker is installed: build-time (in the image) or runtime (when the service starts).
	// +default="build-time"
	phase string,
	// Version of the Docker package, or of the archive of static; the newest if empty.
	// +optional
	dockerVersion string,
	// Site with the directories of https://download.docker.com, for docker-ce, script and static; that one if empty.
	// +optional
	downloadURL string,
	// URL of the key that signs the packages of docker-ce; the site's own if empty.
	// +optional
	key string,
	// Fingerprint that this key must have, in hexadecimal digits; that of Docker's key if empty.
	// +optional
	fingerprint string,
	// URL of the script that script runs; https://get.docker.com if empty.
	// +optional
	script string,
	// SHA-256 that the script, or the archive of static, must have.
	// +optional
	checksum string,
	// Directory with Docker's packages and what those need (*.deb), for cached, which uses no network.
	// +optional
	packages *dagger.Directory,
	// Service that is the host package-mirror while Docker is installed, for --apt-sources, --download-url, --key and --script.
	// +optional
	packageMirror *dagger.Service,
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
	request := spec.Docker{
		Origin: spec.Origin{
			Method: spec.Method(method), Version: dockerVersion, DownloadURL: downloadURL, Key: key, Fingerprint: fingerprint, Script: script, Checksum: checksum,
		},
		Phase: spec.Phase(phase), StorageDriver: spec.StorageDriver(storageDriver), MTU: mtu, AddressPools: addressPool,
		Mirrors: append(registryMirror, m.RegistryMirrors...), Insecure: insecureRegistry, TLS: tls, Data: dataVolume,
	}
	if packages != nil {
		request.Packages = spec.DockerPackages
	}
	if err := request.Validate(); err != nil {
		return nil, err
	}
	text, err := spec.Encode(request)
	if err != nil {
		return nil, err
	}
	d := &Dind{Lab: &lab, Request: string(text), Packages: packages, PackageMirror: packageMirror}
	if tls {
		d.Certs = lab.images().Certificates()
	}
	return d, nil
}

func (d *Dind) docker() (pipelines.Docker, error) {
	request, err := spec.Decode[spec.Docker](strings.NewReader(d.Request))
	if err != nil {
		return pipelines.Docker{}, err
	}
	builder := d.Lab.images()
	builder.Packages, builder.PackageMirror = d.Packages, d.PackageMirror
	return pipelines.Docker{
		Images: builder, Request: request, Archives: d.Archives, References: d.References, Certificates: d.Certs,
	}, nil
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
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Service(ctx)
}

// Image is the daemon to be run elsewhere, privileged: export or publish it. The same
// packages give the same digest. With TLS mount what certificates gives to
// /etc/nestlab/docker-certs.
func (d *Dind) Image() (*dagger.Container, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Image()
}

// Container has Docker's command line and the daemon: try it with terminal, or with-exec.
//
// +cache="session"
func (d *Dind) Container(ctx context.Context) (*dagger.Container, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Container(ctx)
}

// Client gives a container the daemon: bound as docker, with DOCKER_HOST, certificates where
// it wants them, and NO_PROXY. Ports that containers publish are docker's ports.
//
// +cache="session"
func (d *Dind) Client(ctx context.Context,
	// The container, with a Docker client of its own.
	container *dagger.Container,
) (*dagger.Container, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Client(ctx, container)
}

// Testcontainers gives a container the daemon as Testcontainers look for one, in any
// language: as client does, with the host that published ports are on.
//
// +cache="session"
func (d *Dind) Testcontainers(ctx context.Context,
	// The container that the tests run in.
	container *dagger.Container,
) (*dagger.Container, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Testcontainers(ctx, container)
}

// Certificates are those of the server and of its clients, in a directory each, for a
// daemon that is reached by `up`. It is empty without TLS.
func (d *Dind) Certificates() *dagger.Directory {
	if d.Certs == nil {
		return dag.Directory()
	}
	return d.Certs
}
