package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

// defaultPath is Debian's, for a runner that is started without one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lxcConfig is the LXD client's directory, in the runner's own /run.
const lxcConfig = "/run/lxc-client"

// runnerEnvironment is what the runner's processes see of the given one: no
// proxies, which know nothing of the simulated internet. Programs are looked for
// in first, if it is given, before anywhere else.
func runnerEnvironment(from []string, first string) []string {
	proxies := []string{"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"}
	own := map[string]string{"LXD_CONF": lxcConfig, CAVariable: runnerCAFile}
	if first != "" {
		first += ":"
	}
	defaults := map[string]string{"PATH": first + defaultPath, "HOME": "/root"}
	var out []string
	for _, variable := range from {
		name, value, _ := strings.Cut(variable, "=")
		if name == "PATH" {
			variable = "PATH=" + first + value
		}
		_, set := own[name]
		if set || slices.Contains(proxies, strings.ToLower(name)) {
			continue
		}
		delete(defaults, name)
		out = append(out, variable)
	}
	maps.Copy(defaults, own)
	for name, value := range defaults {
		out = append(out, name+"="+value)
	}
	return out
}

// runnerInit is the runner's first process until the command is started. Why
// it was not is for the world to say: it goes to the reporter, which a
// successful start closes.
func runnerInit(ctx context.Context) error {
	reporter := os.NewFile(reportFD, "reporter")
	unix.CloseOnExec(reportFD)
	err := becomeRunner(ctx)
	if _, failed := io.WriteString(reporter, err.Error()); failed != nil {
		return errors.Join(err, failed)
	}
	os.Exit(1)
	return nil
}

// becomeRunner returns only when it failed.
func becomeRunner(ctx context.Context) error {
	var spec runnerSpec
	if err := readSpec(&spec); err != nil {
		return err
	}
	// From here on this thread alone is what becomes the runner, by exec.
	runtime.LockOSThread()
	if err := dieWithParent(); err != nil {
		return err
	}
	if err := joinCgroups(spec.Hierarchies); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	if err := unix.Sethostname([]byte("runner")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := mountAll(spec); err != nil {
		return err
	}
	command, err := initCommand(spec.Command)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // asked to end before there was a command to pass it on to
		return context.Cause(ctx)
	}
	if err := syscall.Exec(command[0], command, os.Environ()); err != nil {
		return fmt.Errorf("execute %s: %w", command[0], err)
	}
	return nil
}

// dieWithParent gives this thread the parent-death signal, which is a thread's
// own: the one that the process was started with goes with its first thread.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to die with the world: %w", err)
	}
	return checkWanted()
}

// joinCgroups moves this process into its cgroups, by their directories that it
// inherited. They are also the run's locks, which are not for the runner to hold.
func joinCgroups(hierarchies []cgroup.Hierarchy) error {
	var fds []int
	for i := range hierarchies {
		fds = append(fds, groupFD+i)
	}
	err := cgroup.Join(fds)
	for _, fd := range fds {
		err = errors.Join(err, unix.Close(fd))
	}
	return err
}

// initCommand puts an init around the command that reaps and passes signals
// on: tini where it is installed, else our own.
func initCommand(command []string) ([]string, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	command = append([]string{path}, command[1:]...)
	if tini, err := exec.LookPath("tini"); err == nil {
		// Not with -g: a signal is lost while the command has no process group yet.
		return append([]string{tini, "--"}, command...), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own executable, to be the runner's init: %w", err)
	}
	return append([]string{self, childCommand, childRole, roleReap}, command...), nil
}
