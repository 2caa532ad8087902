package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

const defaultMTUBytes = 64 << 10

// probePathMTU connects, exchanges small packets, then large ones. Small ones
// that pass and large ones that hang are a path that swallows packets without
// word of its MTU.
func probePathMTU(target targets.PathMTU) probeFunc {
	return func(ctx context.Context, e *env, _ string) observation {
		m := &mtuProbe{env: e, size: int64(target.Bytes), dialer: e.dialer(), values: map[string]string{}, stall: e.targets.Deadline(targets.DeadlineConnect)}
		if m.size == 0 {
			m.size = defaultMTUBytes
		}
		o := m.observe(ctx, target)
		if four := m.dialer.inIPv4(); o.reason == "" && four != nil {
			second := &mtuProbe{env: e, size: m.size, dialer: four, values: map[string]string{}, stall: m.stall}
			return o.also(second.observe(ctx, target), m.dialer, four)
		}
		return o
	}
}

func (m *mtuProbe) observe(ctx context.Context, target targets.PathMTU) observation {
	err := m.run(ctx, target)
	return observation{err: err, reason: classifyWeb(err), dials: m.dialer.tried(), values: m.noted()}
}

type mtuProbe struct {
	env    *env
	size   int64
	dialer *dialer
	// stall is how long nothing may come or go before a request counts as hung:
	// the time that a connection may take.
	stall time.Duration

	// A request that was given up may still be dialling.
	mu     sync.Mutex
	values map[string]string
}

func (m *mtuProbe) note(name, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = value
}

func (m *mtuProbe) noted() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.values)
}

func (m *mtuProbe) run(ctx context.Context, target targets.PathMTU) error {
	if err := m.request(ctx, "small", http.MethodHead, target.URL, nil); err != nil {
		return err
	}
	if err := m.large(ctx, "down", http.MethodGet, target.URL, nil); err != nil {
		return err
	}
	if target.Sink == "" {
		return nil
	}
	return m.large(ctx, "up", http.MethodPost, target.Sink, io.LimitReader(zeros{}, m.size))
}

// large makes a request whose packets are full; that it hangs is the finding.
func (m *mtuProbe) large(ctx context.Context, name, method, u string, body io.Reader) error {
	err := m.request(ctx, name, method, u, body)
	if classifyWeb(err) == model.ReadTimeout {
		return failure(model.MTU, fmt.Errorf("small packets pass, large ones do not (%s): %w", name, err))
	}
	return err
}

// request makes one request on a connection of its own; the connection's idle
// deadline moves on with every read and write.
func (m *mtuProbe) request(ctx context.Context, name, method, u string, body io.Reader) error {
	begin := time.Now()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := m.dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			m.socketValues(conn)
			end, _ := ctx.Deadline()
			return &idleConn{Conn: conn, stall: m.stall, end: end}, nil
		},
	}
	defer transport.CloseIdleConnections()
	request, end := untimed(ctx)
	defer end()
	req, err := http.NewRequestWithContext(request, method, u, body)
	if err != nil {
		return fmt.Errorf("make a request for %s: %w", u, err)
	}
	if body != nil {
		req.ContentLength = m.size
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s request to %s: %w", name, host(u), err)
	}
	defer closeQuietly(resp.Body)
	if reason := ClassifyStatus(resp.StatusCode); reason != "" {
		return failure(reason, fmt.Errorf("%s request to %s: status %s", name, host(u), resp.Status))
	}
	n, err := drainBody(resp, m.size)
	if body != nil {
		m.note(name+"_bytes", strconv.FormatInt(m.size, 10)) // those that were sent
	} else {
		m.note(name+"_bytes", strconv.FormatInt(n, 10))
	}
	m.note(name+"_ms", strconv.FormatInt(time.Since(begin).Milliseconds(), 10))
	if err != nil {
		return fmt.Errorf("%s request to %s, after %d bytes: %w", name, host(u), n, err)
	}
	return nil
}

// socketValues notes what the kernel knows of the path.
func (m *mtuProbe) socketValues(conn net.Conn) {
	note := func(name string, level, option int) {
		value, err := sockopt(conn, level, option)
		if err != nil {
			m.note(name+"_error", err.Error())
			return
		}
		m.note(name, strconv.Itoa(value))
	}
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && a.IP.To4() == nil {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	note("path_mtu", level, option)
	note("mss", unix.IPPROTO_TCP, unix.TCP_MAXSEG)
}

func sockopt(conn net.Conn, level, option int) (int, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, errors.New("no TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("reach the socket: %w", err)
	}
	var value int
	var optErr error
	err = raw.Control(func(fd uintptr) { value, optErr = unix.GetsockoptInt(int(fd), level, option) })
	return value, errors.Join(err, optErr)
}

// idleConn gives every read and write the same time, within the probe's.
type idleConn struct {
	net.Conn
	stall time.Duration
	end   time.Time
}

// late is when a read or write that begins now is late.
func (c *idleConn) late() time.Time {
	late := time.Now().Add(c.stall)
	if !c.end.IsZero() && c.end.Before(late) {
		return c.end
	}
	return late
}

func (c *idleConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(c.late()); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *idleConn) Write(b []byte) (int, error) {
	// What is being sent also gives the answer more time.
	if err := c.SetDeadline(c.late()); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func host(u string) string {
	if parsed, err := url.Parse(u); err == nil {
		return parsed.Host
	}
	return u
}
