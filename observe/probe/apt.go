package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/tail"
)

// aptState is what apt-update leaves for apt-install: lists and cache of their
// own, so that the environment's stay as they are and nothing old helps.
type aptState struct {
	binary string
	dir    string
	// failed is why there are no lists; empty once apt-update has passed.
	failed  model.Reason
	updated bool
}

func aptUpdateTarget(t *targets.Apt) string {
	if len(t.Sources) == 0 {
		return "own sources"
	}
	return strings.Join(t.Sources, "; ")
}

// find says where apt-get is.
func (a *aptState) find() (string, error) {
	if a.binary != "" {
		return a.binary, nil
	}
	path, err := exec.LookPath("apt-get")
	if err != nil {
		return "", fmt.Errorf("find apt-get: %w", err)
	}
	return path, nil
}

// prepare makes the private directories, once.
func (a *aptState) prepare(t *targets.Apt) error {
	if a.dir != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", "nestlab-apt-")
	if err != nil {
		return fmt.Errorf("make a directory for apt: %w", err)
	}
	a.dir = dir
	// apt downloads as the user _apt.
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("open the directory for apt: %w", err)
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "no-parts"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("make a directory for apt: %w", err)
		}
	}
	if len(t.Sources) > 0 {
		text := strings.Join(t.Sources, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the sources for apt: %w", err)
		}
	}
	return nil
}

func (a *aptState) close() error {
	if a.dir == "" {
		return nil
	}
	if err := os.RemoveAll(a.dir); err != nil {
		return fmt.Errorf("remove apt's directory: %w", err)
	}
	return nil
}

// options make apt-get use the private directories, fail on any index that
// fails, and give up in time.
func (a *aptState) options(t *targets.Set) []string {
	seconds := strconv.Itoa(max(1, int(t.Deadline(targets.DeadlineConnect).Seconds())))
	set := []string{
		"Dir::State::lists=" + filepath.Join(a.dir, "lists"),
		"Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"Acquire::Retries=0",
		"Acquire::http::Timeout=" + seconds,
		"Acquire::https::Timeout=" + seconds,
		"DPkg::Lock::Timeout=30",
		"APT::Update::Error-Mode=any",
		"Dpkg::Use-Pty=0",
	}
	if len(t.Apt.Sources) > 0 {
		set = append(set, "Dir::Etc::sourcelist="+filepath.Join(a.dir, "sources.list"), "Dir::Etc::sourceparts="+filepath.Join(a.dir, "no-parts"))
	}
	var out []string
	for _, s := range set {
		out = append(out, "-o", s)
	}
	return out
}

// run runs apt-get in a process group of its own, which dies with ctx.
func (a *aptState) run(ctx context.Context, t *targets.Set, args ...string) (string, error) {
	binary, err := a.find()
	if err != nil {
		return "", err
	}
	return runGroup(ctx, binary, append(a.options(t), args...)...)
}

func runGroup(ctx context.Context, binary string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("run %s: %w", filepath.Base(binary), both(err, ctx.Err()))
	}
	return out.String(), err
}

// share is the part of the deadline for apt itself; the rest is for asking its
// mirrors why it failed.
func share(ctx context.Context) (context.Context, context.CancelFunc) {
	left := budget(ctx)
	return context.WithTimeout(ctx, left-min(15*time.Second, left/4))
}

func probeAptUpdate(ctx context.Context, e *env, _ string) observation {
	a := e.apt
	a.updated, a.failed = false, model.PackageManager
	if _, err := a.find(); err != nil {
		a.failed = model.CommandNotFound
		return observation{outcome: model.Skip, reason: a.failed, err: err}
	}
	if err := a.prepare(e.targets.Apt); err != nil {
		a.failed = Classify(err)
		return observation{outcome: model.Error, reason: a.failed, err: err}
	}
	cmdCtx, cancel := share(ctx)
	defer cancel()
	ask, end := e.askMeanwhile(ctx)
	defer end()
	out, err := a.run(cmdCtx, e.targets, "update")
	if err != nil {
		o := e.explainApt(ctx, err, out, ask)
		a.failed = o.reason
		return o
	}
	a.updated, a.failed = true, ""
	return observation{output: out}
}

func probeAptInstall(ctx context.Context, e *env, _ string) observation {
	a, packages := e.apt, e.targets.Apt.Packages
	switch {
	case a.failed == model.CommandNotFound:
		return observation{outcome: model.Skip, reason: a.failed, message: "no apt-get in this environment"}
	case !a.updated:
		return observation{reason: a.failed, message: "not tried: apt-update brought no package lists"}
	case os.Geteuid() != 0:
		return observation{outcome: model.Skip, reason: model.Permission, message: "installing a package needs root; run nestlab as root"}
	}
	before, err := installed(ctx, packages)
	if err != nil {
		return observation{outcome: model.Error, reason: Classify(err), err: err}
	}
	args := []string{"install", "--yes", "--no-install-recommends"}
	if len(before) > 0 {
		args = append(args, "--reinstall")
	}
	cmdCtx, cancel := share(ctx)
	defer cancel()
	out, err := a.run(cmdCtx, e.targets, append(args, packages...)...)
	o := observation{output: out}
	if err != nil {
		o = e.explainApt(ctx, err, out, func() observation { return e.askMirrors(ctx) })
	}
	if purgeErr := a.purge(ctx, e.targets, before); purgeErr != nil {
		o.err = both(o.err, purgeErr)
		if o.reason == "" {
			o.reason = model.PackageManager
		}
	}
	return o
}

// purge takes away what the probe has installed. It goes on when the run was
// interrupted. Where installing may take longer than usual, purging may too.
func (a *aptState) purge(ctx context.Context, t *targets.Set, before []string) error {
	limit := max(cleanUp, t.Deadline(model.ProbeAptInstall)/4)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	now, err := installed(ctx, t.Apt.Packages)
	if err != nil {
		return err
	}
	var gone []string
	for _, p := range now {
		if !slices.Contains(before, p) {
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	out, err := a.run(ctx, t, append([]string{"purge", "--yes"}, gone...)...)
	if err != nil {
		return fmt.Errorf("purge %s, which the probe has installed; do it by hand: %w: %s", strings.Join(gone, " "), err, tail.Text(out, model.MaxMessage))
	}
	return nil
}

// installed lists those of the packages that dpkg has installed.
func installed(ctx context.Context, packages []string) ([]string, error) {
	var out []string
	for _, p := range packages {
		text, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", p).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 1 {
			continue // dpkg knows no such package
		}
		if err != nil {
			return nil, fmt.Errorf("ask dpkg-query for %s: %w", p, err)
		}
		if strings.TrimSpace(string(text)) == "installed" {
			out = append(out, p)
		}
	}
	return out, nil
}

func diskFull(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < 64<<10
}
