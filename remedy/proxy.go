package remedy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"syscall"
	"time"
)

// connectLimit bounds the connection to a site.
const connectLimit = 10 * time.Second

func (s Server) listenProxy(ctx context.Context) (func() error, error) {
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	server := &http.Server{Handler: newProxy(), ReadHeaderTimeout: connectLimit}
	return func() error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // Serve then says so
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// proxy is a forward proxy: plain requests by their absolute URL, TLS through
// tunnels made by CONNECT (RFC 9110, 9.3.6).
type proxy struct {
	dialer *net.Dialer
	plain  *httputil.ReverseProxy
}

func newProxy() *proxy {
	p := &proxy{dialer: &net.Dialer{Timeout: connectLimit, ControlContext: outside}}
	p.plain = &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport: &http.Transport{DialContext: p.dialer.DialContext, DisableCompression: true},
	}
	return p
}

// outside keeps guests from what listens for the runner alone, and from the
// metadata service of clouds, which hands out credentials.
func outside(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %s: %w", address, err)
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() {
		return fmt.Errorf("%s is not for guests", ip)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		p.plain.ServeHTTP(w, r)
	default:
		http.Error(w, "this is a forward proxy: ask it by http_proxy", http.StatusBadRequest)
	}
}

func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	site, err := p.dialer.DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = site.Close() }() // may be closed by now
	guest, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = guest.Close() }() // may be closed by now
	if _, err := io.WriteString(guest, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	pass := func(to net.Conn, source io.Reader) {
		// That a connection breaks is told to the other end by closing it.
		_, _ = io.Copy(to, source)
		_ = to.(*net.TCPConn).CloseWrite()
		done <- struct{}{}
	}
	go pass(site, buffered)
	go pass(guest, site)
	<-done
	<-done
}
