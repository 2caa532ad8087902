package vm_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/testbed/nettest"
	"github.com/nestlab/nestlab/vm"
)

// What a guest without a network sees, and what one with it does.
func TestLook(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	s, err := vm.Look(t.Context(), conf, time.Second)
	require.NoError(t, err)
	require.Empty(t, s.Addresses)
	require.Empty(t, s.Gateway)
	require.Contains(t, s.Resolver, "read the resolvers")

	require.NoError(t, os.WriteFile(conf, []byte("search lab.test\n"), 0o644))
	s, err = vm.Look(t.Context(), conf, time.Second)
	require.NoError(t, err)
	require.Contains(t, s.Resolver, "names no resolver")

	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}}
	require.NoError(t, netlink.LinkAdd(link))
	require.NoError(t, netlink.LinkSetUp(link))
	address, err := netlink.ParseAddr("192.0.2.2/24")
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(link, address))
	require.NoError(t, netlink.RouteAdd(&netlink.Route{Gw: net.IPv4(192, 0, 2, 1)}))

	// A closed port answers for the first resolver, a refusal for the second.
	started := make(chan struct{})
	server := &dns.Server{Addr: "127.0.0.2:53", Net: "udp", NotifyStartedFunc: func() { close(started) },
		Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if err := w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused)); err != nil {
				t.Error(err)
			}
		})}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	<-started
	require.NoError(t, os.WriteFile(conf, []byte("nameserver 127.0.0.3\nnameserver 127.0.0.2\n"), 0o644))
	s, err = vm.Look(t.Context(), conf, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, vm.Sight{Addresses: []string{"192.0.2.2/24"}, Gateway: "192.0.2.1", Answered: "127.0.0.2"}, s)
	require.NoError(t, server.Shutdown())
	require.NoError(t, <-ended)

	s, err = vm.Look(t.Context(), conf, 5*time.Second)
	require.NoError(t, err)
	require.Empty(t, s.Answered)
	require.Contains(t, s.Resolver, "refused")
}

// A resolver that says nothing does not use up the time of the one after it, and none
// is asked where there is no time for one.
func TestLookPastADeadResolver(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	dead, err := net.ListenPacket("udp", "127.0.0.3:53")
	require.NoError(t, err)
	packets, err := net.ListenPacket("udp", "127.0.0.2:53")
	require.NoError(t, err)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if err := w.WriteMsg(new(dns.Msg).SetReply(q)); err != nil {
			t.Error(err)
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(conf, []byte("nameserver 127.0.0.3\nnameserver 127.0.0.2\n"), 0o644))
	s, err := vm.Look(t.Context(), conf, 1500*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.2", s.Answered)
	s, err = vm.Look(t.Context(), conf, 0)
	require.NoError(t, err)
	require.Equal(t, vm.Sight{Addresses: []string{}, NoIPv6: true}, s)
	require.NoError(t, packets.Close())
	<-ended
	s, err = vm.Look(t.Context(), conf, 200*time.Millisecond)
	require.NoError(t, err)
	require.Empty(t, s.Answered)
	require.Contains(t, s.Resolver, "timeout")
	require.Contains(t, s.Resolver, "refused")
	require.NoError(t, dead.Close())
}

// The lease and the route are looked for without a resolver, whose silence would take
// all the time that they have.
func TestWhatIsAskedOfAGuest(t *testing.T) {
	t.Parallel()
	var asked []bool
	unmet, err := vm.Await(t.Context(), vm.Networked(1, false, func(_ context.Context, resolver bool) (vm.Sight, error) {
		asked = append(asked, resolver)
		s := vm.Sight{Addresses: []string{"192.0.2.2/24"}}
		if len(asked) > 1 {
			s.Gateway = "192.0.2.1"
		}
		if resolver {
			s.Answered = "192.0.2.1"
		}
		return s, nil
	}))
	require.NoError(t, err)
	require.Empty(t, unmet)
	require.Equal(t, []bool{false, false, true}, asked)
}
