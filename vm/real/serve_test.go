//go:build e2e

package real

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/yamux"

	"github.com/nestlab/nestlab/testbed/nettest"
	"github.com/nestlab/nestlab/vm"
)

// The test binary also lends its LXD out: serve makes a simulated runner with an LXD
// in it, and takes connections for that LXD, many in one, on TCP ports. lend is its
// part inside.
const (
	serveRole = "serve"
	lendRole  = "lend"
	state     = "/var/lib/nestlab-simulate"
)

// lent are the ways to LXD that are lent out: its socket, and what it may be told to
// serve by https. Each goes by a socket that is seen inside and outside.
var lent = []struct{ port, socket, network, address string }{
	{":8443", "/opt/nestlab-lent.socket", "unix", socket},
	{":8444", "/opt/nestlab-lent-https.socket", "tcp", "127.0.0.1:8443"},
}

func serveMain(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, way := range lent {
		l, err := net.Listen("tcp", way.port)
		if err != nil {
			return err
		}
		go nettest.Pass(l, func() (net.Conn, error) { // once it is there
			return backoff.Retry(ctx, func() (net.Conn, error) { return net.Dial("unix", way.socket) },
				backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(0))
		})
	}
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
	for _, way := range lent {
		l, err := net.Listen("unix", way.socket)
		if err != nil {
			return err
		}
		go unbundle(l, way.network, way.address)
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return d.Stop(end)
}

// unbundle takes connections with many in them, and joins each of those with one to
// that address.
func unbundle(l net.Listener, network, address string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		many, err := yamux.Server(conn, nettest.Bundle())
		if err != nil {
			panic(err) // of the settings
		}
		go nettest.Pass(many, func() (net.Conn, error) { return net.Dial(network, address) })
	}
}
