// Package dind puts Docker into an environment and keeps its daemon running:
// the same code at build time, when it runs in a layer of an image, and at run
// time, when it runs in the started environment.
package dind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/spec"
)

// Install is how Docker is to be installed.
type Install struct {
	spec.Origin
	// Sources are lines of sources.list that stand in for the configured ones;
	// none means the environment's own.
	Sources []string
	// Client adds what people work with: Docker's command line and its builder, where those
	// are packages of their own.
	Client bool
	// CA are PEM certificates that are trusted besides the system's.
	CA string
	// Timeout bounds each wait for a mirror; zero means 30 s.
	Timeout time.Duration
	// Once asks each mirror only once; else a failed download is tried twice more.
	Once bool
	// Log gets what the package manager prints.
	Log io.Writer
}

// Validate checks the request before anything is changed.
func (i Install) Validate() error {
	return errors.Join(i.Origin.Validate(), i.CheckSources(i.Sources))
}

// Run installs Docker. It is for Debian and its relatives, as root.
func (i Install) Run(ctx context.Context) error {
	if err := i.Validate(); err != nil {
		return err
	}
	methods := map[spec.Method]func(context.Context) error{
		spec.Distro: i.distro, spec.DockerCE: i.dockerCE, spec.Script: i.script, spec.Static: i.static, spec.Cached: i.cached,
	}
	if err := methods[i.Method](ctx); err != nil {
		return fmt.Errorf("install Docker by method %s: %w", i.Method, err)
	}
	return nil
}

func (i Install) timeout() time.Duration { return cmp.Or(i.Timeout, 30*time.Second) }

// retries is the number of retries of a download.
func (i Install) retries() int {
	if i.Once {
		return 0
	}
	return 2
}

// distro installs the distribution's own packages.
func (i Install) distro(ctx context.Context) (err error) {
	a, cleanup, err := useApt(i, i.Sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	if err := a.update(ctx); err != nil {
		return err
	}
	packages := needed
	if i.Client {
		clients, err := a.known(ctx, "docker-cli", "docker-buildx")
		if err != nil {
			return err
		}
		packages = append(packages[:len(packages):len(packages)], clients...)
	}
	return a.installVersion(ctx, i.Version, []string{"docker.io"}, packages...)
}

// needed is what Docker needs and the distribution has.
var needed = []string{"iptables", "ca-certificates"}

// prepare installs those of the needed packages that are not here.
func (i Install) prepare(ctx context.Context) (err error) {
	_, missing := exec.LookPath("iptables")
	if _, err := os.Stat(certificates); err == nil && missing == nil {
		return nil
	}
	a, cleanup, err := useApt(i, i.Sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	if err := a.update(ctx); err != nil {
		return err
	}
	return a.install(ctx, needed...)
}

// certificates are those that the distribution trusts.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// cached installs the packages of a directory, and has apt know of no others.
func (i Install) cached(ctx context.Context) (err error) {
	packages, err := filepath.Glob(filepath.Join(i.Packages, "*.deb"))
	if err != nil {
		return fmt.Errorf("look for packages in %s: %w", i.Packages, err)
	}
	if len(packages) == 0 {
		return fmt.Errorf("%s holds no package (*.deb)", i.Packages)
	}
	a, cleanup, err := useApt(i, []string{"# none: nothing is fetched"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	// apt takes for a file what has a slash in it.
	for n, path := range packages {
		if packages[n], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	return a.install(ctx, packages...)
}
