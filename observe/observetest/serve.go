package observetest

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// ServeWeb serves pages of 64 KiB until the test's end, in the calling thread's place.
func ServeWeb(t *testing.T, at netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", at.String())
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 64<<10)) // who asked may be gone
	}), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve the page: %v", err)
		}
	}()
	t.Cleanup(func() { require.NoError(t, s.Close()) })
}

// ServeNames answers every name with the site's addresses until the test's end, in the
// calling thread's place.
func ServeNames(t *testing.T, at netip.AddrPort) {
	t.Helper()
	l, err := net.ListenPacket("udp", at.String())
	require.NoError(t, err)
	started := make(chan struct{})
	s := &dns.Server{PacketConn: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 1}
		switch header.Rrtype {
		case dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: header, A: Site.AsSlice()}}
		case dns.TypeAAAA:
			m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: Site6.AsSlice()}}
		}
		_ = w.WriteMsg(m) // what a killer keeps from leaving is an error here
	})}
	go func() {
		if err := s.ActivateAndServe(); err != nil {
			t.Errorf("serve names: %v", err)
		}
	}()
	await.Receive(t, started)
	t.Cleanup(func() { require.NoError(t, s.Shutdown()) })
}
