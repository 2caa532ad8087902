package dind

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// gate passes connections on to the daemon's unix socket. dockerd itself would wait 15 s for
// being served on TCP without TLS, and would take connections before its API answers: who
// finds this open finds a daemon that works.
type gate struct {
	listener net.Listener
	socket   string
}

// openGate listens on TCP, with the certificates of a directory unless that is empty.
func openGate(address, certificates, socket string) (*gate, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve the daemon on TCP: %w", err)
	}
	if certificates == "" {
		return &gate{l, socket}, nil
	}
	config, err := serverTLS(certificates)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &gate{tls.NewListener(l, config), socket}, nil
}

// serverTLS wants a client's certificate of the same authority.
func serverTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certFile), filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("read the daemon's certificate: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, fmt.Errorf("read the authority of clients: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read the authority of clients: no certificate in %s", filepath.Join(dir, caFile))
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
	}, nil
}

// serve passes connections until the context ends.
func (g *gate) serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = g.listener.Close() })() // Accept says so
	for {
		conn, err := g.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("take a connection to the daemon: %w", err)
		}
		go g.pass(ctx, conn)
	}
}

// handshake is how long a client may take for it.
const handshake = 30 * time.Second

// pass connects a client with the daemon. Each way is closed by itself: an attached client
// ends its input and still reads the output. A connection that breaks is told to the other
// end by closing it.
func (g *gate) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	if secured, ok := client.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(ctx, handshake)
		err := secured.HandshakeContext(ctx)
		cancel()
		if err != nil {
			return // the client is told by the protocol
		}
	}
	daemon, err := net.Dial("unix", g.socket)
	if err != nil {
		return
	}
	defer daemon.Close()
	defer context.AfterFunc(ctx, func() { client.Close(); daemon.Close() })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		oneWay(daemon, client)
	}()
	oneWay(client, daemon)
	<-done
}

func oneWay(to, from net.Conn) {
	_, copied := io.Copy(to, from)
	closer, ok := to.(interface{ CloseWrite() error })
	if !ok || copied != nil || closer.CloseWrite() != nil {
		to.Close()
		from.Close()
	}
}
