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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nestlab/nestlab/tail"
)

// apt is the package manager with the options of an installation.
type apt struct {
	in      Install
	options []string
	// list replaces the configured sources; empty keeps them.
	list string
}

// useApt readies apt. The returned function removes what it made.
func useApt(in Install, sources []string) (*apt, func() error, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, nil, fmt.Errorf("install Docker by method %s: no apt-get here; use a Debian or Ubuntu base image: %w", in.Method, err)
	}
	seconds := fmt.Sprintf("%d", int(in.timeout().Seconds()))
	a := &apt{in: in, options: []string{
		"-q", "-o", "Acquire::http::Timeout=" + seconds, "-o", "Acquire::https::Timeout=" + seconds,
		"-o", "Acquire::Retries=" + strconv.Itoa(in.retries()), "-o", "APT::Update::Error-Mode=any", "-o", "Dpkg::Use-Pty=0",
		"-o", "DPkg::Lock::Timeout=60",
	}}
	if len(sources) == 0 {
		return a, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "nestlab-apt-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory for apt sources: %w", err)
	}
	a.list = filepath.Join(dir, "sources.list")
	a.options = append(a.options, "-o", "Dir::Etc::sourcelist="+a.list, "-o", "Dir::Etc::sourceparts=-")
	err = os.WriteFile(a.list, []byte(strings.Join(sources, "\n")+"\n"), 0o644)
	// apt drops privileges and must still read the list.
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("write apt sources: %w", err), os.RemoveAll(dir))
	}
	return a, func() error { return os.RemoveAll(dir) }, nil
}

func (a *apt) update(ctx context.Context) error { return a.run(ctx, "update") }

func (a *apt) install(ctx context.Context, packages ...string) error {
	return a.run(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)...)
}

// installVersion installs packages of one version; where that fails it says how to find those that there are.
func (a *apt) installVersion(ctx context.Context, version string, pinned []string, others ...string) error {
	packages := slices.Clone(pinned)
	for i := range packages {
		if version != "" {
			packages[i] += "=" + version
		}
	}
	err := a.install(ctx, append(packages, others...)...)
	if err != nil && version != "" {
		return fmt.Errorf("%w\nthe versions that there are: apt-cache madison %s", err, pinned[0])
	}
	return err
}

// known lists those of the packages that the sources have.
func (a *apt) known(ctx context.Context, packages ...string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", append(slices.Clone(a.options), "pkgnames", "docker-")...).Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of Docker's clients: %w", err)
	}
	var found []string
	for _, name := range strings.Fields(string(out)) {
		if slices.Contains(packages, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (a *apt) run(ctx context.Context, args ...string) error {
	args = append(slices.Clone(a.options), args...)
	if err := command(ctx, a.in.Log, nil, "apt-get", args...); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[len(args)-1], err)
	}
	return nil
}

// command runs a program in a process group of its own, which dies with ctx. An error has
// the end of what it printed.
func command(ctx context.Context, log io.Writer, env []string, name string, args ...string) error {
	end := tail.New(4 << 10)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = slices.Concat(os.Environ(), []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}, env)
	cmd.Stdout = end
	if log != nil {
		cmd.Stdout = io.MultiWriter(end, log)
	}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, end)
	}
	return nil
}
