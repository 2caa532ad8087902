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

	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

// CAVariable tells the runner's command the file with the internet's certificate
// authority, which the runner's own trust store has already.
const CAVariable = "NESTLAB_WORLD_CA"

// runnerSpec is what the runner's first process is to do.
type runnerSpec struct {
	// State is the run's directory.
	State string `json:"state"`
	// CAFile is the internet's certificate authority.
	CAFile      string             `json:"ca_file"`
	Hierarchies []cgroup.Hierarchy `json:"hierarchies"`
	Command     []string           `json:"command"`
}

// runnerCAFile is in the runner's own /run.
const runnerCAFile = "/run/nestlab-ca.pem"

// runner is the runner's first process, as the machine sees it.
type runner struct {
	*child
	groups cgroup.Groups
}

// stop is how the runner's first process is asked to end.
func (r *runner) stop(p *os.Process) error {
	if err := awaitInit(p.Pid); err != nil {
		return errors.Join(err, p.Kill())
	}
	return p.Signal(syscall.SIGTERM)
}

// runnerNamespaces are the runner's own; its network namespace is there already
// and its cgroup namespace comes once it is in its cgroups.
const runnerNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC

// runRunner runs the command in the runner to its end.
func (w *World) runRunner(ctx context.Context, command []string, stdio Stdio, st *state, groups cgroup.Groups, n *network) (int, error) {
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
	if ctx.Err() != nil {
		return 0, fmt.Errorf("run %s in the simulated runner: %w", command[0], context.Cause(ctx))
	}
	if len(failure) > 0 {
		return 0, fmt.Errorf("start the simulated runner: %s", failure)
	}
	code, err := exitCode(r.err)
	if err != nil {
		return 0, fmt.Errorf("run %s in the simulated runner: %w", command[0], err)
	}
	return code, nil
}

func (w *World) startRunner(ctx context.Context, command []string, stdio Stdio, st *state, groups cgroup.Groups, n *network) (_ *runner, report *os.File, err error) {
	spec := runnerSpec{State: st.dir, CAFile: st.caFile(), Command: command}
	for _, g := range groups {
		spec.Hierarchies = append(spec.Hierarchies, g.Hierarchy)
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
	cmd, err := w.command(ctx, roleRunner, append([]*os.File{input, reporter}, groups.Directories()...)...)
	if err == nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio.In, stdio.Out, stdio.Err
		cmd.Env = runnerEnvironment(os.Environ(), w.config.Path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: runnerNamespaces}
		r := &runner{groups: groups}
		if r.child, err = start(cmd, inNetwork(n.runner), r.stop); err == nil {
			return r, report, nil
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
		cmd.Env, cmd.Dir = runnerEnvironment(os.Environ(), w.config.Path), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: group != nil}
		if group != nil {
			cmd.SysProcAttr.CgroupFD = int(group.Fd())
		}
		cmd.Cancel = func() error { return terminate(cmd.Process) }
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
	if unified, err = r.groups.JoinThread(); err != nil {
		return unified, err
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
