package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

const (
	// uplinkDNS is where the uplink answers DNS, with the host's own resolver.
	uplinkDNS = "10.0.2.3"
	// uplinkDeadline is what the uplink gets to be ready; it takes some milliseconds.
	uplinkDeadline = 15 * time.Second
	// uplinkMTU is Ethernet's, as on hosted runners, whatever the host's own is: the
	// uplink ends TCP itself. The engine gives its containers the same.
	uplinkMTU = "1500"
	// mirrorPort is where the engine finds the mirror: HTTP's own port, as the
	// registries' names lead there, in a network namespace where nobody else has it.
	mirrorPort = "80"
)

// startUplink gives a process's network namespace a way out through the host
// by user-mode networking: no bridge, no forwarding, no firewall rule on the
// host. It returns once the namespace has its address and route.
func startUplink(ctx context.Context, pid int, log *os.File) (*exec.Cmd, error) {
	ready, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the uplink's pipe: %w", err)
	}
	defer ready.Close()
	cmd := exec.Command("slirp4netns", "--configure", "--mtu="+uplinkMTU, "--disable-host-loopback", "--ready-fd=3",
		strconv.Itoa(pid), "tap0")
	cmd.ExtraFiles = []*os.File{tell}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = cmd.Start()
	err = errors.Join(err, tell.Close())
	if err != nil {
		return nil, fmt.Errorf("start the engine's uplink: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, uplinkDeadline)
	defer cancel()
	told := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(ready, make([]byte, 1)) // ends with the pipe, at the latest
		told <- err
	}()
	select {
	case err = <-told:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return cmd, fmt.Errorf("wait for the engine's uplink (slirp4netns, which needs /dev/net/tun; its words are in %s): %w", log.Name(), err)
	}
	return cmd, nil
}

// listenIn opens a listener in the network namespace of a process.
func listenIn(pid int, address string) (net.Listener, error) {
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		// This thread goes to the other namespace and ends with the goroutine:
		// it is not unlocked, so that nothing else ever runs on it.
		runtime.LockOSThread()
		ns, err := netns.GetFromPid(pid)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			done <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp4", address)
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, fmt.Errorf("listen on %s in the engine's network: %w", address, r.err)
	}
	return r.l, nil
}

// listenRemembered listens on loopback, at the address that was used last if it is free.
func listenRemembered(last string) (net.Listener, error) {
	if last != "" {
		if l, err := net.Listen("tcp4", last); err == nil {
			return l, nil
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free loopback port for the mirror: %w", err)
	}
	return l, nil
}
