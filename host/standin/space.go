package standin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/session"
)

const ifaNoDAD = unix.IFA_F_NODAD

// apart does something on a thread of its own, which ends with it: whatever namespaces
// the thread goes into, no other code of this process sees them.
func apart(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- do()
	}()
	return <-done
}

// newNamespace makes a network namespace that nothing but this process holds.
func newNamespace() (netns.NsHandle, error) {
	space := netns.None()
	err := apart(func() (err error) {
		if space, err = netns.New(); err != nil {
			return err
		}
		// Its IPv6 addresses and routes are those that it is given.
		for _, name := range []string{"accept_ra", "autoconf"} {
			err := os.WriteFile("/proc/sys/net/ipv6/conf/default/"+name, []byte("0"), 0o644)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return space, fmt.Errorf("make a network namespace for a stand-in (needs root): %w", err)
	}
	return space, nil
}

// Exec implements session.Environment: this binary, in the namespace, with its resolvers.
func (s *StandIn) Exec(ctx context.Context, c session.Command) (int, error) {
	if err := s.address(); err != nil {
		return -1, err
	}
	return run(ctx, c, s.space, s.resolvConf())
}

// run runs this binary in a network namespace, with a file for its /etc/resolv.conf.
func run(ctx context.Context, c session.Command, space netns.NsHandle, resolvers string) (int, error) {
	self, err := owner.Executable()
	if err != nil {
		return -1, err
	}
	cmd := exec.CommandContext(ctx, self, c.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	// The host's Docker is none of its, and the thread that starts it lives as long.
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix:///nestlab/none")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err = apart(func() error {
		if err := enter(space); err != nil {
			return err
		}
		if err := resolveBy(resolvers); err != nil {
			return err
		}
		return cmd.Run()
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, fmt.Errorf("run nestlab %v in a namespace: %w", c.Args[0], err)
	}
	return 0, nil
}

// enter has the calling thread see another network.
func enter(space netns.NsHandle) error {
	if err := netns.Set(space); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return nil
}

// resolveBy has the calling thread see a file as its /etc/resolv.conf.
func resolveBy(resolvers string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make mounts of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep its mounts to itself: %w", err)
	}
	conf, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("find the file of the resolvers: %w", err)
	}
	if err := unix.Mount(resolvers, conf, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("give it its resolvers: %w", err)
	}
	return nil
}

// forwardingWithin bounds the wait for a bridge that speaks STP: twice its longest delay.
const forwardingWithin = 62 * time.Second

// The attribute of a bridge's port with its state, and the state in which it forwards.
const (
	brportState     = 1
	stateForwarding = 3
)

// forwarding waits until a port of a bridge forwards: with STP it does not at once.
func forwarding(ctx context.Context, port string) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		state, err := portState(port)
		if err == nil && state != stateForwarding {
			err = fmt.Errorf("the port %s is in state %d of STP, and does not forward yet", port, state)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)), backoff.WithMaxElapsedTime(forwardingWithin))
	return err
}

// portState reads the state of a bridge's port.
func portState(name string) (int, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("find the port %s: %w", name, err)
	}
	value, err := networks.LinkAttribute(l.Attrs().Index, unix.IFLA_LINKINFO, nl.IFLA_INFO_SLAVE_DATA, brportState)
	if err != nil || len(value) == 0 {
		return 0, errors.Join(err, fmt.Errorf("the kernel tells no state of the port %s", name))
	}
	return int(value[0]), nil
}
