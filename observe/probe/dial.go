package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/nestlab/nestlab/model"
)

const (
	// eyeballDelay is the head start of each address over the next (RFC 8305).
	eyeballDelay = 250 * time.Millisecond
	maxAddresses = 8
)

// dialer resolves and connects, and keeps a record of every address it tried.
type dialer struct {
	resolver *resolver
	// connect is the deadline of one connection.
	connect time.Duration
	// all goes on with the other addresses after one has connected, so that a
	// half-broken dual stack shows.
	all bool
	// only are the addresses that are dialled, whatever the name has; none for all of it.
	only []netip.Addr

	mu    sync.Mutex
	dials []model.Dial
	// had are the addresses of what was dialled last, and won the one that answered.
	had []netip.Addr
	won netip.Addr
}

func (d *dialer) record(address string, err error, start time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dials = append(d.dials, model.Dial{Address: address, Reason: Classify(err), DurationMS: time.Since(start).Milliseconds()})
}

// tried are the addresses so far, in the order of their answers.
func (d *dialer) tried() []model.Dial {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]model.Dial(nil), d.dials...)
}

// DialContext connects to HOST:PORT; it fits http.Transport.
func (d *dialer) DialContext(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", hostport, err)
	}
	addrs := d.only
	if len(addrs) == 0 {
		if addrs, err = d.resolver.lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	conn, err := d.race(ctx, interleave(addrs), port)
	if err != nil {
		return nil, err
	}
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		closeQuietly(conn)
		return nil, fmt.Errorf("read who answered: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.had, d.won = addrs, at.Addr().Unmap()
	return conn, nil
}

// inIPv4 dials the IPv4 addresses of what answered by IPv6, with a route to them; nil where
// there are none. What answered by IPv4 needs no such: IPv6 was tried before it.
func (d *dialer) inIPv4() *dialer {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := &dialer{resolver: d.resolver, connect: d.connect}
	for _, a := range d.had {
		if d.won.Is6() && a.Is4() && hasRoute(netip.AddrPortFrom(a, 1)) {
			o.only = append(o.only, a)
		}
	}
	if len(o.only) == 0 {
		return nil
	}
	return o
}

// within is DialContext in the time of a probe, whose end also ends what is read and
// written afterwards. It is for a request that is untimed.
func (d *dialer) within(ctx context.Context) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, network, hostport string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, hostport)
		if err != nil {
			return nil, err
		}
		if end, ok := ctx.Deadline(); ok {
			err = conn.SetDeadline(end)
		}
		if err != nil {
			closeQuietly(conn)
			return nil, fmt.Errorf("bound the time of a connection to %s: %w", hostport, err)
		}
		return conn, nil
	}
}

// untimed ends with an interrupt, but not with the time of a probe: an HTTP client
// that sees that time end tells so before the dialer or the connection can tell what
// was waited for.
func untimed(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	return out, func() { stop(); cancel() }
}

// first connects to the first address of HOST:PORT alone.
func (d *dialer) first(ctx context.Context, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", hostport, err)
	}
	addrs, err := d.resolver.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.one(ctx, net.JoinHostPort(addrs[0].String(), port))
}

type dialed struct {
	conn net.Conn
	err  error
}

// race dials the addresses one after the other, each with a head start over the
// next, and returns the first connection. What has no turn while there is time is
// not tried.
func (d *dialer) race(ctx context.Context, addrs []netip.Addr, port string) (net.Conn, error) {
	raceCtx, cancel := context.WithCancel(ctx)
	results := make(chan dialed, len(addrs))
	next, answers := 0, 0
	start := func() {
		address := net.JoinHostPort(addrs[next].String(), port)
		next++
		go func() {
			conn, err := d.one(raceCtx, address)
			results <- dialed{conn, err}
		}()
	}
	start()
	var winner net.Conn
	var errs []error
	more := func() bool { return next < len(addrs) && timeLeft(ctx) }
	for answers < next || more() {
		var head <-chan time.Time
		if more() {
			head = time.After(eyeballDelay)
		}
		select {
		case <-head:
			start()
			continue
		case r := <-results:
			answers++
			if r.err != nil {
				errs = append(errs, r.err)
			} else if winner != nil {
				closeQuietly(r.conn)
			} else if winner = r.conn; !d.all {
				cancel()
				d.drain(results, next-answers)
				return winner, nil
			}
		}
		if more() {
			start()
		}
	}
	cancel()
	if winner != nil {
		return winner, nil
	}
	return nil, worst(errs)
}

// timeLeft reports whether something may still begin. A dial ends at the deadline itself,
// which may be seen before the context has ended.
func timeLeft(ctx context.Context) bool {
	end, bounded := ctx.Deadline()
	return ctx.Err() == nil && (!bounded || time.Now().Before(end))
}

// drain closes what connects after the race is over.
func (d *dialer) drain(results <-chan dialed, left int) {
	go func() {
		for range left {
			if r := <-results; r.conn != nil {
				closeQuietly(r.conn)
			}
		}
	}()
}

func (d *dialer) one(ctx context.Context, address string) (net.Conn, error) {
	begin := time.Now()
	nd := net.Dialer{Timeout: d.connect, KeepAlive: -1}
	conn, err := nd.DialContext(ctx, "tcp", address)
	// An address that only lost the race was not observed.
	if err == nil || !errors.Is(ctx.Err(), context.Canceled) {
		d.record(address, err, begin)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

// worst is the error whose reason says most.
func worst(errs []error) error {
	var reasons []model.Reason
	for _, err := range errs {
		reasons = append(reasons, Classify(err))
	}
	most := MostTelling(reasons)
	for i, err := range errs {
		if reasons[i] == most {
			return failure(most, err)
		}
	}
	return errors.Join(errs...)
}

// interleave puts IPv6 and IPv4 addresses in turn, IPv6 first.
func interleave(addrs []netip.Addr) []netip.Addr {
	var v6, v4, out []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	for i := 0; i < len(v6) || i < len(v4); i++ {
		if i < len(v6) {
			out = append(out, v6[i])
		}
		if i < len(v4) {
			out = append(out, v4[i])
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// closeQuietly closes what is of no more interest: an error in closing a
// connection that has served is no observation.
func closeQuietly(c interface{ Close() error }) {
	_ = c.Close()
}
