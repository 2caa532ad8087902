package nettest

import (
	"io"
	"net"
	"time"

	"github.com/hashicorp/yamux"
)

// Pass joins each connection that a listener takes with one of its own, until the
// listener is closed. It does not wait for those that are joined.
func Pass(l net.Listener, dial func() (net.Conn, error)) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			there, err := dial()
			if err != nil {
				return // whoever connects sees the end
			}
			defer there.Close()
			done := make(chan error, 2)
			go func() { _, err := io.Copy(there, from); done <- err }()
			go func() { _, err := io.Copy(from, there); done <- err }()
			<-done
		}()
	}
}

// Bundle are the settings of many connections in one. They have no time-outs: tests
// wait for the thing itself.
func Bundle() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive, c.StreamOpenTimeout, c.ConnectionWriteTimeout = false, 0, 24*time.Hour
	return c
}
