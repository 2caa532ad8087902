package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/nestlab/nestlab/model"
)

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

// probeTCP connects to every address of HOST:PORT and passes if one of each family
// answers: programs try both and get through, so that nothing else shows a family that is
// dead. One that there is no way to at all, such as IPv6 on hosted runners, is none.
func probeTCP(ctx context.Context, e *env, target string) observation {
	d := e.dialer()
	d.all = true
	conn, err := d.DialContext(ctx, "tcp", target)
	o := seen(err)
	o.dials = d.tried()
	if err == nil {
		if reason, family := deadFamily(o.dials); reason != "" {
			o.reason, o.err = reason, fmt.Errorf("connect to %s: no %s address answered, others did", target, family)
		}
		o.values = map[string]string{"remote": conn.RemoteAddr().String(), "local": conn.LocalAddr().String()}
		closeQuietly(conn)
	}
	return o
}

// deadFamily is why no address of a family answered, and which family that is; empty
// where one did of each that this machine has a way to.
func deadFamily(dials []model.Dial) (model.Reason, string) {
	reasons, answered, routed := map[string][]model.Reason{}, map[string]bool{}, map[string]bool{}
	for _, d := range dials {
		at, err := netip.ParseAddrPort(d.Address)
		if err != nil {
			continue
		}
		family := "IPv6"
		if at.Addr().Is4() {
			family = "IPv4"
			routed[family] = routed[family] || hasRoute(at)
		}
		answered[family] = answered[family] || d.Reason == ""
		reasons[family] = append(reasons[family], d.Reason)
	}
	for family, all := range reasons {
		reason := MostTelling(all)
		if !answered[family] && (reason != model.Unreachable || routed[family]) {
			return reason, family
		}
	}
	return "", ""
}

// hasRoute reports whether this machine has a way to an address. Nothing is sent.
func hasRoute(to netip.AddrPort) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return false
	}
	closeQuietly(conn)
	return true
}
