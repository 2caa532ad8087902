package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// Entry puts a process of a container into a simulated internet that runs as a
// service beside it.
type Entry struct {
	// Internet is the service's host name.
	Internet string
	// Targets is the file that the simulated target set is written to.
	Targets string
	// Unprivileged gives up every capability that a plain container does not have.
	Unprivileged bool
	// Timeout bounds the wait for the service.
	Timeout time.Duration
}

// plainCapabilities are what a container runtime gives a container by default.
func plainCapabilities() []capability.Cap {
	return []capability.Cap{
		capability.CAP_CHOWN, capability.CAP_DAC_OVERRIDE, capability.CAP_FSETID, capability.CAP_FOWNER,
		capability.CAP_MKNOD, capability.CAP_NET_RAW, capability.CAP_SETGID, capability.CAP_SETUID,
		capability.CAP_SETFCAP, capability.CAP_SETPCAP, capability.CAP_NET_BIND_SERVICE,
		capability.CAP_SYS_CHROOT, capability.CAP_KILL, capability.CAP_AUDIT_WRITE,
	}
}

// Enter names the internet's resolver and certificate authority to this
// container. The caller then executes a command in its own place: capabilities
// are dropped for the calling thread, which Enter keeps locked.
func (e Entry) Enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	address, err := e.address(ctx)
	if err != nil {
		return err
	}
	ca, err := authority(ctx, address)
	if err != nil {
		return err
	}
	if err := nameResolver(address); err != nil {
		return err
	}
	certs := filepath.Join("/etc/docker/certs.d", internet.Registry)
	if err := errors.Join(os.MkdirAll(certs, 0o755), os.WriteFile(filepath.Join(certs, "ca.crt"), ca, 0o644)); err != nil {
		return fmt.Errorf("trust the simulated registry: %w", err)
	}
	if err := e.writeTargets(ca); err != nil {
		return err
	}
	if e.Unprivileged {
		return dropCapabilities()
	}
	return nil
}

func (e Entry) address(ctx context.Context) (string, error) {
	found, err := net.DefaultResolver.LookupIP(ctx, "ip4", e.Internet)
	if err != nil {
		return "", fmt.Errorf("find the simulated internet %s; is it bound as a service? %w", e.Internet, err)
	}
	return found[0].String(), nil
}

// authority fetches the certificate authority as soon as the service answers.
func authority(ctx context.Context, address string) ([]byte, error) {
	ca, err := backoff.Retry(ctx, func() ([]byte, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ca.crt", nil)
		if err != nil {
			return nil, backoff.Permanent(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, backoff.Permanent(fmt.Errorf("it answered %s", answer.Status))
		}
		return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)))
	if err != nil {
		return nil, fmt.Errorf("fetch the simulated internet's certificate authority from %s: %w", address, err)
	}
	return ca, nil
}

// nameResolver mounts a resolv.conf over the one that the engine mounted.
func nameResolver(address string) error {
	const own = "/run/nestlab-resolv.conf"
	if err := os.WriteFile(own, []byte("nameserver "+address+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the resolver's address: %w", err)
	}
	if err := unix.Mount(own, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("name the simulated internet's resolver in /etc/resolv.conf; does this container have all capabilities? %w", err)
	}
	return nil
}

func (e Entry) writeTargets(ca []byte) error {
	set, err := targets.Builtin(targets.Simulated)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(e.Targets), 0o755); err != nil {
		return fmt.Errorf("make the directory of the targets: %w", err)
	}
	text, err := set.WithCA(ca).Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.Targets, text, 0o644); err != nil {
		return fmt.Errorf("write the targets: %w", err)
	}
	return nil
}

// dropCapabilities bounds what the next program of this thread can have.
func dropCapabilities() error {
	runtime.LockOSThread()
	last, err := capability.LastCap()
	if err != nil {
		return fmt.Errorf("ask for the kernel's last capability: %w", err)
	}
	for c := capability.Cap(0); c <= last; c++ {
		if slices.Contains(plainCapabilities(), c) {
			continue
		}
		if err := capability.DropBound(c); err != nil {
			return fmt.Errorf("give up %s: %w", c, err)
		}
	}
	return nil
}
