package internet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

const (
	portDNS   = "53"
	portHTTP  = "80"
	portHTTPS = "443"

	// shutdownGrace is how long requests under way may take once the servers are to end.
	shutdownGrace = 2 * time.Second
	// maxConnections is for each listener.
	maxConnections = 1024
)

// server is one bound socket and what serves it.
type server struct {
	serve    func() error
	shutdown func(context.Context) error
}

// Serve binds every listener, seeds the registry, calls c.Ready and serves until
// ctx is done; that is no error. An error names the address or the image that
// it is about.
func Serve(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	ca, err := newAuthority("nestlab simulated internet CA", time.Now())
	if err != nil {
		return err
	}
	if c.CAFile != "" {
		if err := os.WriteFile(c.CAFile, ca.pem(), 0o644); err != nil {
			return fmt.Errorf("write the certificate authority: %w", err)
		}
	}
	out := c.Log
	if out == nil {
		out = io.Discard
	}
	how := c.Conduct
	if how == nil {
		how = NewConduct()
	}
	servers, err := bind(c, ca, slog.New(slog.NewJSONHandler(out, nil)), how)
	if err != nil {
		return errors.Join(err, stop(servers))
	}
	return run(ctx, c, servers)
}

// run serves until ctx is done or one of the servers fails.
func run(ctx context.Context, c Config, servers []server) error {
	group, running := errgroup.WithContext(ctx)
	for _, s := range servers {
		group.Go(s.serve)
	}
	group.Go(func() error {
		<-running.Done()
		return stop(servers)
	})
	if c.Ready != nil {
		c.Ready()
	}
	return group.Wait()
}

// stop ends servers within shutdownGrace; it does not inherit the context that has just ended.
func stop(servers []server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.shutdown(ctx))
	}
	return errors.Join(errs...)
}

// bind opens all sockets; on an error the servers bound so far are returned with it.
func bind(c Config, ca *authority, log *slog.Logger, how *Conduct) ([]server, error) {
	shown, err := newCertificates(ca, c.Sites, time.Now())
	if err != nil {
		return nil, err
	}
	plain, secure, err := handlers(c, ca.pem(), log)
	if err != nil {
		return nil, err
	}
	servers, err := bindDNS(c, log, how)
	if err != nil {
		return servers, err
	}
	for _, address := range c.addresses() {
		s, err := bindHTTP(address, portHTTP, how.around(plain), nil)
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
		s, err = bindHTTP(address, portHTTPS, how.around(secure), &tls.Config{
			GetCertificate: how.serve(shown), MinVersion: tls.VersionTLS12,
		})
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func bindHTTP(address netip.Addr, port string, h http.Handler, secure *tls.Config) (server, error) {
	at := net.JoinHostPort(address.String(), port)
	l, err := net.Listen("tcp", at)
	if err != nil {
		return server{}, fmt.Errorf("listen on tcp %s (another server, or not an address of this machine?): %w", at, err)
	}
	l = netutil.LimitListener(l, maxConnections)
	s := &http.Server{
		Handler: h, TLSConfig: secure,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 15 * time.Minute,
		WriteTimeout: 15 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		// Clients that distrust the certificate are part of the simulation, not news.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	serve := func() error { return s.Serve(l) }
	if secure != nil {
		serve = func() error { return s.ServeTLS(l, "", "") }
	}
	return server{
		serve: func() error {
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on tcp %s: %w", at, err)
			}
			return nil
		},
		shutdown: func(ctx context.Context) error {
			err := s.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				err = s.Close() // something is still being fetched: it has had its grace
			}
			// A server that has not begun to serve does not know its listener.
			return errors.Join(ignoreClosed(err), ignoreClosed(l.Close()))
		},
	}, nil
}

// ignoreClosed is for listeners that somebody else may have closed before.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func bindDNS(c Config, log *slog.Logger, how *Conduct) ([]server, error) {
	at := net.JoinHostPort(c.Resolver.String(), portDNS)
	handler := newZone(c.Sites, log, how)
	packets, err := net.ListenPacket("udp", at)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS on udp %s (another resolver, or not an address of this machine?): %w", at, err)
	}
	servers := []server{dnsServer(at, "udp", &dns.Server{PacketConn: packets, Handler: handler})}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return servers, fmt.Errorf("listen for DNS on tcp %s (another resolver, or not an address of this machine?): %w", at, err)
	}
	l = netutil.LimitListener(l, maxConnections)
	return append(servers, dnsServer(at, "tcp", &dns.Server{Listener: l, Handler: handler})), nil
}

func dnsServer(at, network string, s *dns.Server) server {
	s.ReadTimeout, s.WriteTimeout = 5*time.Second, 5*time.Second
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	return server{
		serve: func() error {
			// Closed before it began, when the servers end at once.
			if err := ignoreClosed(s.ActivateAndServe()); err != nil {
				return fmt.Errorf("serve DNS on %s %s: %w", network, at, err)
			}
			return nil
		},
		shutdown: func(ctx context.Context) error {
			select {
			case <-started:
				return s.ShutdownContext(ctx)
			default: // does not serve yet: the library knows no shutdown then
			}
			if s.PacketConn != nil {
				return ignoreClosed(s.PacketConn.Close())
			}
			return ignoreClosed(s.Listener.Close())
		},
	}
}
