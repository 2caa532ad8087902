package pipelines

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/nestlab/nestlab/images"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
)

// Docker hands Docker-in-Docker out.
type Docker struct {
	Images  images.Builder
	Request spec.Docker
	// Archives are images that the daemon has from its start on, References their names;
	// empty for those in the archive.
	Archives   []*dagger.File
	References []string
	// Certificates has directories for the server and for clients; nil without TLS.
	Certificates *dagger.Directory
}

// Image is the daemon to be run elsewhere, privileged. It has no keys: with TLS those of
// Certificates are to be mounted.
func (d Docker) Image() (*dagger.Container, error) {
	ctr, err := d.Images.Docker(d.Request)
	if err != nil {
		return nil, err
	}
	if d.Request.Phase == spec.Runtime && d.Images.Packages != nil {
		ctr = ctr.WithDirectory(spec.DockerPackages, d.Images.Packages)
	}
	for i, file := range d.Archives {
		dir := imageDirectory(i)
		ctr = ctr.WithFile(dir+"/image.tar", file).WithNewFile(dir+"/ref", d.References[i])
	}
	return d.Images.Reproducible(ctr, d.Request), nil
}

func imageDirectory(i int) string { return spec.DockerImages + "/" + strconv.Itoa(i) }

// Service starts the daemon in this engine. It is started here, for where a bound service
// does not start the engine tells neither its last words nor, by its exit code, that it failed.
func (d Docker) Service(ctx context.Context) (*dagger.Service, error) {
	service, err := d.service()
	if err != nil {
		return nil, err
	}
	started, err := service.Start(ctx)
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("start Docker-in-Docker: %v\n%s", err, tail.Text(failed.Stderr, 4<<10))
	}
	if err != nil {
		return nil, fmt.Errorf("start Docker-in-Docker: %v", err)
	}
	return started, nil
}

func (d Docker) service() (*dagger.Service, error) {
	ctr, err := d.Images.Docker(d.Request)
	if err != nil {
		return nil, err
	}
	if d.Request.Phase == spec.Runtime {
		ctr = d.Images.Supplied(ctr)
	}
	for i, file := range d.Archives {
		dir := imageDirectory(i)
		ctr = ctr.WithMountedFile(dir+"/image.tar", file).WithNewFile(dir+"/ref", d.References[i])
	}
	if d.Certificates != nil {
		ctr = ctr.WithMountedDirectory(spec.DockerCertificates+"/server", d.Certificates.Directory("server"))
	}
	args := images.Serve(d.Request)
	// A volume in each case: overlay2 cannot stand on the container's own overlay, and in
	// memory the images of a build would take it all.
	if d.Request.Data == "" {
		args = append(args, "--temporary")
		ctr = ctr.WithMountedCache(spec.DockerData, d.Images.Dag.CacheVolume("nestlab-dind-temporary"),
			dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModePrivate})
	} else {
		// Shared, for a second daemon is to be refused, not to wait for the first.
		ctr = ctr.WithMountedCache(spec.DockerData, d.Images.Dag.CacheVolume("nestlab-dind-data-"+d.Request.Data),
			dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeShared})
	}
	return ctr.WithExposedPort(d.Request.Port()).
		AsService(dagger.ContainerAsServiceOpts{Args: args, InsecureRootCapabilities: true}), nil
}

// Container has Docker's command line and the daemon.
func (d Docker) Container(ctx context.Context) (*dagger.Container, error) {
	client := d.Request
	client.Phase = spec.BuildTime // the command line is wanted at once, whenever the daemon is installed
	ctr, err := d.Images.Docker(client)
	if err != nil {
		return nil, err
	}
	return d.Client(ctx, ctr)
}

// certificatesPath is where clients find theirs.
const certificatesPath = "/run/nestlab/docker-certs"

// Client gives a container the daemon.
func (d Docker) Client(ctx context.Context, ctr *dagger.Container) (*dagger.Container, error) {
	service, err := d.Service(ctx)
	if err != nil {
		return nil, err
	}
	// What the daemon has is in no key of the engine's cache: each call asks it again.
	ctr = ctr.WithServiceBinding(spec.DockerHost, service).
		WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable("DOCKER_HOST", fmt.Sprintf("tcp://%s:%d", spec.DockerHost, d.Request.Port()))
	if d.Certificates != nil {
		ctr = ctr.WithMountedDirectory(certificatesPath, d.Certificates.Directory("client")).
			WithEnvVariable("DOCKER_TLS_VERIFY", "1").WithEnvVariable("DOCKER_CERT_PATH", certificatesPath)
	}
	// Clients would ask a proxy for the daemon. Some read one name, some the other.
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		has, err := ctr.EnvVariable(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read %s of the container: %v", name, err)
		}
		ctr = ctr.WithEnvVariable(name, spec.WithoutProxy(has))
	}
	return ctr, nil
}

// Testcontainers gives a container the daemon, as Testcontainers look for one.
func (d Docker) Testcontainers(ctx context.Context, ctr *dagger.Container) (*dagger.Container, error) {
	ctr, err := d.Client(ctx, ctr)
	if err != nil {
		return nil, err
	}
	// Ports are published where the daemon is; so is the socket that the reaper mounts.
	return ctr.WithEnvVariable("TESTCONTAINERS_HOST_OVERRIDE", spec.DockerHost).
		WithEnvVariable("TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE", "/var/run/docker.sock"), nil
}

// Build has the daemon build an image, and takes it over.
func (d Docker) Build(ctx context.Context, from *dagger.Directory, dockerfile, target string, buildArgs []string) (*dagger.Container, error) {
	ctr, err := d.Container(ctx)
	if err != nil {
		return nil, err
	}
	// Values are bound to their flags: none is taken for a flag of its own.
	const tag, archive = "nestlab-built:latest", "/run/nestlab-built.tar"
	args := []string{"docker", "build", "--tag=" + tag, "--file=" + path.Join("/context", dockerfile)}
	if target != "" {
		args = append(args, "--target="+target)
	}
	for _, a := range buildArgs {
		args = append(args, "--build-arg="+a)
	}
	file := ctr.WithMountedDirectory("/context", from).
		WithExec(append(args, "/context")).
		WithExec([]string{"docker", "save", "--output", archive, tag}).
		File(archive)
	built, err := d.Images.Dag.Container().Import(file).Sync(ctx)
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("build the image: %v\n%s", err, tail.Text(failed.Stderr, 4<<10))
	}
	if err != nil {
		return nil, fmt.Errorf("build the image: %v", err)
	}
	return built, nil
}
