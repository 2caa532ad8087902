package probe

import "context"

// probeFirst connects to the address of HOST:PORT that this machine prefers
// (RFC 6724), and to no other: so do programs that know no second try. It tells a
// place that believes it has IPv6, and has not, from one that knows.
func probeFirst(ctx context.Context, e *env, target string) observation {
	d := e.dialer()
	conn, err := d.first(ctx, target)
	o := seen(err)
	o.dials = d.tried()
	if err == nil {
		o.values = map[string]string{"remote": conn.RemoteAddr().String()}
		closeQuietly(conn)
	}
	return o
}

// probeTCP connects to every address of HOST:PORT and passes if one answers.
func probeTCP(ctx context.Context, e *env, target string) observation {
	d := e.dialer()
	d.all = true
	conn, err := d.DialContext(ctx, "tcp", target)
	o := seen(err)
	o.dials = d.tried()
	if err == nil {
		o.values = map[string]string{"remote": conn.RemoteAddr().String(), "local": conn.LocalAddr().String()}
		closeQuietly(conn)
	}
	return o
}
