package hostsnapshot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// isolated marks the process that Isolate has started.
const isolated = "NESTLAB_TEST_ISOLATED"

// Isolate runs the test binary once more in network, mount, process, host name
// and IPC namespaces of its own, a machine where nothing else happens, and gives
// its exit code. There it returns false, and the tests are to be run:
//
//	func TestMain(m *testing.M) {
//		if code, done := hostsnapshot.Isolate(); done {
//			os.Exit(code)
//		}
//		os.Exit(m.Run())
//	}
func Isolate() (code int, done bool) {
	if os.Getenv(isolated) == "" {
		return runIsolated(), true
	}
	if err := settle(); err != nil {
		fmt.Fprintln(os.Stderr, "isolate the tests:", err)
		return 1, true
	}
	return 0, false
}

func runIsolated() int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "isolate the tests: find the test binary:", err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "isolate the tests (needs root):", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// settle gives the new namespaces what every machine has.
func settle() error {
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
	return nil
}
