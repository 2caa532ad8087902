package vm_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/nettest"
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
