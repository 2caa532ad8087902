package hostsnapshot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

const (
	// stage marks how far a test binary has come that Isolate has started: it
	// holds the number of cgroups to join, and isolated after that.
	stage    = "NESTLAB_TEST_ISOLATED"
	isolated = "yes"
	// firstGroup is the first of the cgroup directories that it inherits.
	firstGroup = 3
)

// groupName is that of the tests' cgroup.
var groupName = regexp.MustCompile(`^nestlab-test-[0-9]+$`)

// Isolate runs the test binary once more in namespaces and cgroups of its own, a
// machine where nothing else happens, and gives its exit code. There it returns
// false, and the tests are to be run:
//
//	func TestMain(m *testing.M) {
//		if code, done := hostsnapshot.Isolate(); done {
//			os.Exit(code)
//		}
//		os.Exit(m.Run())
//	}
func Isolate() (code int, done bool) {
	var err error
	switch groups := os.Getenv(stage); groups {
	case isolated:
		return 0, false
	case "":
		code, err = runIsolated()
	default:
		err = settle(groups)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolate the tests (needs root):", err)
		return 1, true
	}
	return code, true
}

func runIsolated() (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	groups, err := cgroup.New("nestlab-test-"+strconv.Itoa(os.Getpid()), groupName)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, groups.Remove()) }()
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = groups.Directories()
	cmd.Env = append(os.Environ(), stage+"="+strconv.Itoa(len(groups)))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return cmd.ProcessState.ExitCode(), err
}

// settle gives the new namespaces what every machine has, makes the cgroup
// namespace and begins once more, for the Go runtime has other threads by now.
// It returns only when it failed.
func settle(groups string) error {
	count, err := strconv.Atoi(groups)
	if err != nil {
		return err
	}
	var fds []int
	for i := range count {
		fds = append(fds, firstGroup+i)
	}
	runtime.LockOSThread()
	if err := cgroup.Join(fds); err != nil {
		return err
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("ask to die with the one outside: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv(stage, isolated); err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
