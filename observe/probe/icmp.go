package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/nestlab/nestlab/model"
)

// echoes is how many echo requests are sent within the deadline.
const echoes = 3

// pinger sends echo requests to one address.
type pinger struct {
	conn *icmp.PacketConn
	// raw says that it is a raw socket; else the kernel's ping socket, which
	// replaces the identifier and hands out own answers only.
	raw  bool
	dest netip.Addr
	id   int

	sent, received int
	rtts           []time.Duration
}

// probeICMP sends echo requests over a raw socket, or a ping socket where that
// is denied.
func probeICMP(ctx context.Context, e *env, target string) observation {
	addrs, err := e.resolver().lookup(ctx, target)
	if err != nil {
		return seen(err)
	}
	// As the dials show IPv6, echoes go to IPv4 where there is a choice.
	dest := addrs[0]
	for _, a := range addrs {
		if a.Is4() {
			dest = a
			break
		}
	}
	p, err := openPinger(dest)
	if err != nil {
		return seen(fmt.Errorf("open a socket for echo requests to %s: %w", dest, err))
	}
	defer closeQuietly(p.conn)
	err = p.run(ctx)
	o := seen(err)
	o.values = p.values()
	if p.received > 0 {
		o.reason, o.err = "", nil
	} else if err == nil || o.reason == model.ReadTimeout || o.reason == model.DeadlineExceeded {
		o.reason = model.NoReply
		o.err = fmt.Errorf("send %d echo requests to %s: no answer in time", p.sent, dest)
	}
	return o
}

func openPinger(dest netip.Addr) (*pinger, error) {
	networks, listen := []string{"ip4:icmp", "udp4"}, "0.0.0.0"
	if dest.Is6() {
		networks, listen = []string{"ip6:ipv6-icmp", "udp6"}, "::"
	}
	conn, rawErr := icmp.ListenPacket(networks[0], listen)
	if rawErr == nil {
		return &pinger{conn: conn, raw: true, dest: dest, id: os.Getpid() & 0xffff}, nil
	}
	conn, err := icmp.ListenPacket(networks[1], listen)
	if err != nil {
		return nil, both(rawErr, err)
	}
	return &pinger{conn: conn, dest: dest}, nil
}

// run sends the echoes, each with its share of the time, and returns the last
// error if none was answered.
func (p *pinger) run(ctx context.Context) error {
	share := budget(ctx) / echoes
	var last error
	for seq := range echoes {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		begin := time.Now()
		if err := p.send(seq); err != nil {
			// Denied or unreachable: the next one will be as well.
			return err
		}
		if err := p.await(seq, begin.Add(share)); err != nil {
			last = err
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			continue
		}
		p.received++
		p.rtts = append(p.rtts, time.Since(begin))
	}
	return last
}

func (p *pinger) send(seq int) error {
	var kind icmp.Type = ipv4.ICMPTypeEcho
	if p.dest.Is6() {
		kind = ipv6.ICMPTypeEchoRequest
	}
	packet, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: p.id, Seq: seq, Data: []byte("nestlab probe icmp-echo")}}).Marshal(nil)
	if err != nil {
		return fmt.Errorf("make an echo request: %w", err)
	}
	var to net.Addr = &net.UDPAddr{IP: p.dest.AsSlice(), Zone: p.dest.Zone()}
	if p.raw {
		to = &net.IPAddr{IP: p.dest.AsSlice(), Zone: p.dest.Zone()}
	}
	if _, err := p.conn.WriteTo(packet, to); err != nil {
		return fmt.Errorf("send an echo request to %s: %w", p.dest, err)
	}
	p.sent++
	return nil
}

// await reads until the answer to seq comes, or word that it cannot.
func (p *pinger) await(seq int, until time.Time) error {
	if err := p.conn.SetReadDeadline(until); err != nil {
		return fmt.Errorf("set the deadline of an echo: %w", err)
	}
	protocol := 1
	if p.dest.Is6() {
		protocol = 58
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			return fmt.Errorf("await an echo reply from %s: %w", p.dest, err)
		}
		m, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil {
			continue // not ours: a raw socket sees every ICMP packet
		}
		switch body := m.Body.(type) {
		case *icmp.Echo:
			reply := m.Type == ipv4.ICMPTypeEchoReply || m.Type == ipv6.ICMPTypeEchoReply
			if reply && body.Seq == seq && (!p.raw || body.ID == p.id) {
				return nil
			}
		case *icmp.DstUnreach:
			if p.quotes(body.Data, seq) {
				return failure(model.Unreachable, fmt.Errorf("%s says that %s is unreachable, code %d", from, p.dest, m.Code))
			}
		}
	}
}

// quotes says whether an ICMP error quotes the echo request seq.
func (p *pinger) quotes(data []byte, seq int) bool {
	header, protocol := 40, 58
	if p.dest.Is4() {
		h, err := icmp.ParseIPv4Header(data)
		if err != nil {
			return false
		}
		header, protocol = h.Len, 1
	}
	if len(data) < header+8 {
		return false
	}
	m, err := icmp.ParseMessage(protocol, data[header:])
	if err != nil {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && echo.ID == p.id && echo.Seq == seq
}

func (p *pinger) values() map[string]string {
	v := map[string]string{
		"address":  p.dest.String(),
		"sent":     strconv.Itoa(p.sent),
		"received": strconv.Itoa(p.received),
		"socket":   "ping",
	}
	if p.raw {
		v["socket"] = "raw"
	}
	if len(p.rtts) > 0 {
		var sum time.Duration
		for _, rtt := range p.rtts {
			sum += rtt
		}
		v["rtt_ms"] = strconv.FormatFloat(float64(sum.Microseconds())/float64(len(p.rtts))/1000, 'f', 3, 64)
	}
	return v
}
