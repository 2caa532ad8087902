package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// CAVariable tells the runner's command the file with the internet's certificate
// authority, which the runner's own trust store has already.
const CAVariable = "NESTLAB_WORLD_CA"

// runnerSpec is what the runner's first process is to do.
type runnerSpec struct {
	// State is the run's directory.
	State string `json:"state"`
	// CAFile is the internet's certificate authority.
	CAFile      string      `json:"ca_file"`
	Hierarchies []hierarchy `json:"hierarchies"`
	Command     []string    `json:"command"`
}

// runnerCAFile is in the runner's own /run.
const runnerCAFile = "/run/nestlab-ca.pem"

// runner is the runner's first process, as the machine sees it.
type runner struct {
	*child
	groups cgroups
}

// runnerNamespaces are the runner's own; its network namespace is there already
// and its cgroup namespace comes once it is in its cgroups.
const runnerNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// runRunner runs the command in the runner to its end.
func (w *World) runRunner(ctx context.Context, command []string, stdio Stdio, st *state, groups cgroups, n *network) (int, error) {
	r, report, err := w.startRunner(ctx, command, stdio, st, groups, n)
	if err != nil {
		return 0, fmt.Errorf("start the simulated runner: %w", err)
	}
	// Empty once the command is started, or why it was not.
	failure, err := io.ReadAll(report)
	if err := errors.Join(err, report.Close()); err != nil {
		return 0, fmt.Errorf("start the simulated runner: %w", err)
	}
	if len(failure) == 0 {
		w.setRunner(r)
		close(w.ready)
	}
	<-r.done
	w.setRunner(nil)
	switch {
	case len(failure) > 0:
		return 0, fmt.Errorf("start the simulated runner: %s", failure)
	case ctx.Err() != nil:
		return 0, fmt.Errorf("run %s in the simulated runner: %w", command[0], context.Cause(ctx))
	}
	code, err := exitCode(r.err)
	if err != nil {
		return 0, fmt.Errorf("run %s in the simulated runner: %w", command[0], err)
	}
	return code, nil
}

func (w *World) startRunner(ctx context.Context, command []string, stdio Stdio, st *state, groups cgroups, n *network) (_ *runner, report *os.File, err error) {
	spec := runnerSpec{State: st.dir, CAFile: st.caFile(), Command: command}
	for _, g := range groups {
		spec.Hierarchies = append(spec.Hierarchies, g.hierarchy)
	}
	input, err := specPipe(spec)
	if err != nil {
		return nil, nil, err
	}
	defer input.Close()
	report, reporter, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer reporter.Close()
	cmd, err := w.command(ctx, roleRunner, append([]*os.File{input, reporter}, groups.directories()...)...)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio.In, stdio.Out, stdio.Err
		cmd.Env = runnerEnvironment(os.Environ())
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: runnerNamespaces}
		var c *child
		if c, err = start(cmd, inNetwork(n.runner)); err == nil {
			return &runner{child: c, groups: groups}, report, nil
		}
	}
	return nil, nil, errors.Join(err, report.Close())
}

// Exec runs one more command in the running runner, as a login would, and gives
// its exit code. When ctx is done it gets SIGTERM and ten seconds.
func (w *World) Exec(ctx context.Context, command []string, stdio Stdio) (int, error) {
	if len(command) == 0 {
		return 0, errors.New("run in the simulated runner: no command given")
	}
	r, err := w.getRunner()
	if err != nil {
		return 0, err
	}
	var code int
	err = onThread(func() error {
		group, err := r.enter()
		if err != nil {
			return err
		}
		defer group.Close()
		cmd := exec.CommandContext(ctx, command[0], command[1:]...) // looked up in the runner's file system
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio.In, stdio.Out, stdio.Err
		// No parent-death signal: it dies with the runner's first process.
		cmd.Env, cmd.Dir = runnerEnvironment(os.Environ()), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: group != nil}
		if group != nil {
			cmd.SysProcAttr.CgroupFD = int(group.Fd())
		}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = termGrace
		code, err = exitCode(cmd.Run())
		return err
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("run %s in the simulated runner: %w", command[0], err)
	}
	return code, nil
}

// enter puts the thread into the runner's cgroups and namespaces. The version 2
// cgroup takes whole processes only: it is returned for the new one to start in.
func (r *runner) enter() (unified *os.File, err error) {
	runtime.LockOSThread()
	pid := r.cmd.Process.Pid
	for _, g := range r.groups {
		if !g.hierarchy.unified() {
			if err := os.WriteFile(g.path("tasks"), []byte("0"), 0o644); err != nil {
				return nil, fmt.Errorf("join cgroup %s: %w", g.hierarchy, err)
			}
			continue
		}
		if unified, err = os.Open(g.path(initLeaf)); errors.Is(err, os.ErrNotExist) {
			unified, err = os.Open(g.path())
		}
		if err != nil {
			return nil, fmt.Errorf("open cgroup %s: %w", g.hierarchy, err)
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return unified, fmt.Errorf("open the runner's process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	// Threads share their root and working directory until told otherwise, and
	// a mount namespace is only for those that do not.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return unified, fmt.Errorf("unshare the thread's file system state: %w", err)
	}
	if err := unix.Setns(fd, runnerNamespaces|unix.CLONE_NEWNET|unix.CLONE_NEWCGROUP); err != nil {
		return unified, fmt.Errorf("enter the runner's namespaces: %w", err)
	}
	return unified, nil
}
