//go:build e2e

package real

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/vm"
)

// The test binary also lends its LXD out: serve makes a simulated runner with an LXD
// in it, and takes connections to that LXD's socket on a TCP port. lend is its part
// inside.
const (
	serveRole = "serve"
	lendRole  = "lend"
	// servePort is that port; lent is a socket that is seen inside and outside.
	servePort = ":8443"
	lent      = "/opt/nestlab-lent.socket"
	state     = "/var/lib/nestlab-simulate"
)

func serveMain(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ports, err := net.Listen("tcp", servePort)
	if err != nil {
		return err
	}
	go pass(ports, lent)
	cmd := exec.CommandContext(ctx, "nestlab", "world", "run", "--state", state, "--", self, lendRole)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func lendMain(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lend-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &vm.Daemon{
		Socket: socket, Dir: filepath.Join(dir, "lxd"), Image: "/opt/nestlab/lxd.tar", Alias: alias, Subnet: "10.77.0.1/24",
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	l, err := net.Listen("unix", lent)
	if err != nil {
		return err
	}
	go pass(l, socket)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(l.Close(), d.Stop(end))
}

// pass joins each connection with one to a unix socket.
func pass(l net.Listener, to string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			there, err := net.Dial("unix", to)
			if err != nil {
				return // whoever connects tries again
			}
			defer there.Close()
			done := make(chan error, 2)
			go func() { _, err := io.Copy(there, from); done <- err }()
			go func() { _, err := io.Copy(from, there); done <- err }()
			<-done
		}()
	}
}
