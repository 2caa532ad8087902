// Package dind puts Docker into an environment and keeps its daemon running:
// the same code at build time, when it runs in a layer of an image, and at run
// time, when it runs in the started environment.
package dind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
)

// Install is how Docker is to be installed.
type Install struct {
	Method spec.Method
	// Sources are lines of sources.list that stand in for the configured ones;
	// none means the environment's own.
	Sources []string
	// Version pins the package, such as 20.10.24+dfsg1-1+deb12u1; empty takes the newest.
	Version string
	// Client adds what people work with: Docker's command line and its builder, where those
	// are packages of their own.
	Client bool
	// Timeout bounds each wait for a mirror; zero means 30 s.
	Timeout time.Duration
	// Once asks each mirror only once; else a failed download is tried twice more.
	Once bool
	// Log gets what the package manager prints.
	Log io.Writer
}

// Validate checks the method before anything is changed.
func (i Install) Validate() error {
	return spec.Check(i.Method)
}

// Run installs Docker. It is for Debian and its relatives, as root.
func (i Install) Run(ctx context.Context) error {
	if err := i.Validate(); err != nil {
		return err
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install Docker by method %s: no apt-get here; use a Debian or Ubuntu base image: %w", i.Method, err)
	}
	options, cleanup, err := i.options()
	if err != nil {
		return err
	}
	defer cleanup()
	if err := i.apt(ctx, append(options, "update")...); err != nil {
		return err
	}
	pkg := "docker.io"
	if i.Version != "" {
		pkg += "=" + i.Version
	}
	packages := []string{"iptables", "ca-certificates", pkg}
	if i.Client {
		more, err := clients(ctx, options)
		if err != nil {
			return err
		}
		packages = append(packages, more...)
	}
	if err := i.apt(ctx, slices.Concat(options, []string{"install", "--yes", "--no-install-recommends"}, packages)...); err != nil {
		if i.Version != "" {
			return fmt.Errorf("%w\nthe versions that there are: apt-cache madison docker.io", err)
		}
		return err
	}
	return nil
}

// clients lists those packages of Docker's clients that the distribution has.
func clients(ctx context.Context, options []string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", append(options, "pkgnames", "docker-")...).Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of Docker's clients: %w", err)
	}
	var found []string
	for _, name := range strings.Fields(string(out)) {
		if name == "docker-cli" || name == "docker-buildx" {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (i Install) options() ([]string, func(), error) {
	timeout := i.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	seconds := fmt.Sprintf("%d", int(timeout.Seconds()))
	options := []string{
		"-q", "-o", "Acquire::http::Timeout=" + seconds, "-o", "Acquire::https::Timeout=" + seconds,
		"-o", "Acquire::Retries=" + i.retries(), "-o", "APT::Update::Error-Mode=any", "-o", "Dpkg::Use-Pty=0",
		"-o", "DPkg::Lock::Timeout=60",
	}
	if len(i.Sources) == 0 {
		return options, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "nestlab-apt-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for apt sources: %w", err)
	}
	list := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(list, []byte(strings.Join(i.Sources, "\n")+"\n"), 0o644); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("write apt sources: %w", err), os.RemoveAll(dir))
	}
	// apt drops privileges and must still read the list.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open apt sources to apt: %w", err), os.RemoveAll(dir))
	}
	options = append(options, "-o", "Dir::Etc::sourcelist="+list, "-o", "Dir::Etc::sourceparts=-")
	return options, func() { os.RemoveAll(dir) }, nil
}

func (i Install) retries() string {
	if i.Once {
		return "0"
	}
	return "2"
}

func (i Install) apt(ctx context.Context, args ...string) error {
	end := tail.New(4 << 10)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	cmd.Stdout, cmd.Stderr = end, end
	if i.Log != nil {
		cmd.Stdout = io.MultiWriter(end, i.Log)
		cmd.Stderr = cmd.Stdout
	}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w; it printed:\n%s", strings.Join(args[len(args)-1:], " "), err, end)
	}
	return nil
}
