package images

import (
	"strconv"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
)

// requestPath is where an image of Docker-in-Docker has its request.
const requestPath = "/etc/nestlab/docker.json"

// Serve starts the daemon in an image of Docker-in-Docker.
func Serve(d spec.Docker) []string {
	return []string{
		binaryPath, "dind", "serve", "--spec", requestPath, "--listen", ":" + strconv.Itoa(d.Port()), "--ready", "3m",
	}
}

// Docker is Docker-in-Docker with Docker's command line, and with Docker itself unless that
// is to be installed at run time.
func (b Builder) Docker(d spec.Docker) (*dagger.Container, error) {
	request, err := spec.Encode(d)
	if err != nil {
		return nil, err
	}
	ctr := b.Plain()
	if d.Phase == spec.BuildTime {
		// Quiet: where a daemon does not start the engine prints what earlier steps said, last.
		ctr = b.installed(ctr, d.Origin, "--quiet", "--client")
	}
	return ctr.WithNewFile(requestPath, string(request)), nil
}

// installed is a container with Docker in it, by one command in one layer. What the
// installation was given is not there any more.
func (b Builder) installed(ctr *dagger.Container, o spec.Origin, args ...string) *dagger.Container {
	args = append(append([]string{binaryPath, "dind", "install"}, o.Args()...), args...)
	return ctr.WithRootfs(b.Supplied(ctr).WithExec(args).Rootfs())
}

// Supplied gives a container what an installation in it needs from the caller.
func (b Builder) Supplied(ctr *dagger.Container) *dagger.Container {
	if b.PackageMirror != nil {
		ctr = ctr.WithServiceBinding(spec.PackageMirror, b.PackageMirror)
	}
	if b.Packages != nil {
		ctr = ctr.WithMountedDirectory(spec.DockerPackages, b.Packages)
	}
	return ctr
}

// traces are what an installation leaves behind that differs from one to the next.
var traces = []string{
	"/var/lib/apt/lists", "/var/cache/apt", "/var/cache/ldconfig", "/var/log/apt", "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/lib/nestlab",
}

// Reproducible gives a container as an image to hand out: one layer, which has the same
// contents whenever it is built from the same packages.
func (b Builder) Reproducible(ctr *dagger.Container, d spec.Docker) *dagger.Container {
	for _, path := range traces {
		ctr = ctr.WithoutDirectory(path)
	}
	// Directory.WithTimestamps follows links, and there are some that lead nowhere.
	root := b.Plain().WithMountedDirectory("/image", ctr.Rootfs()).
		WithExec([]string{"find", "/image", "-newermt", "@1", "-exec", "touch", "--no-dereference", "--date=@0", "{}", "+"}).
		Directory("/image")
	return b.Dag.Container().
		WithRootfs(root).
		WithEnvVariable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").
		WithEntrypoint(Serve(d)).
		WithExposedPort(d.Port()).
		WithLabel("org.opencontainers.image.title", "Docker-in-Docker by nestlab").
		WithLabel("org.opencontainers.image.base.name", b.Base).
		WithLabel("nestlab.docker.method", string(d.Method)).
		WithLabel("nestlab.docker.phase", string(d.Phase))
}

// Certificates are those of a daemon and its clients, made for this very call.
func (b Builder) Certificates() *dagger.Directory {
	return b.Plain().WithEnvVariable("NESTLAB_RUN", Buster()).
		WithExec([]string{binaryPath, "dind", "certificates", "/out"}).
		Directory("/out")
}
