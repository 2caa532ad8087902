package probe

import "context"

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
