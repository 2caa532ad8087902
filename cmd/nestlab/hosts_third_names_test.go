package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/await"
)

// hostsThirdNames are the third stranger's faults of names and leases. The address over a
// row is the report.
func hostsThirdNames() []row {
	one, loopback := "--server=198.51.100.2", "127.0.0.53"
	return []row{
		// https://github.com/moby/libnetwork/issues/2187
		{name: "third-stub", do: func(w *hostSuite) {
			observetest.ServeNames(w.t, netip.MustParseAddrPort(loopback+":53"))
			w.asDocker()
			w.resolvers(loopback)
		}, commands: []string{"site:ip route add blackhole 8.8.0.0/16"}, back: []string{"site:ip route del blackhole 8.8.0.0/16"},
			truth:  "resolv.conf has a stub on loopback alone, so Docker gives its containers 8.8.8.8, which cannot be reached from here; the host resolves",
			places: []string{onDocker}, names: []string{`8\.8\.8\.8|127\.0\.0\.53`}, hurt: []string{onDocker + ": names"}},
		// https://github.com/docker/for-mac/issues/2160
		{name: "third-truncated", do: func(w *hostSuite) { w.siteAnswers("198.51.100.53", answersTruncated); w.resolvers("198.51.100.53") }, commands: []string{"site:ip address add 198.51.100.53/32 dev eth0"}, back: []string{"site:ip address del 198.51.100.53/32 dev eth0"},
			truth:  "the resolver's answers are truncated and TCP is refused there: no names for the host and docker0",
			places: []string{onRunner, onDocker}, names: []string{"(?i)truncat"}, hurt: []string{onRunner + ": names", onDocker + ": names"}},
		// https://github.com/systemd/systemd/issues/22575
		{name: "third-aaaa-silent", do: func(w *hostSuite) { w.siteAnswers("198.51.100.54", answersNoAAAA); w.resolvers("198.51.100.54") }, commands: []string{"site:ip address add 198.51.100.54/32 dev eth0"}, back: []string{"site:ip address del 198.51.100.54/32 dev eth0"},
			truth:  "the resolver never answers AAAA questions: each name takes a timeout, of host and docker0",
			places: []string{onRunner, onDocker}, names: []string{"AAAA|(?i)dns-aaaa"}},
		{name: "third-local-domain", do: func(w *hostSuite) { w.names(one, "--local=/test/") },
			truth:  "virbr0's dnsmasq has the domain test for its own (local=/test/) and says NXDOMAIN to what the servers outside know",
			places: []string{onLibvirt}, names: []string{"(?i)nxdomain|dnsmasq"}, hurt: []string{onLibvirt + ": names"}},
		{name: "third-lying-resolver", do: func(w *hostSuite) { w.names(one, "--address=/site.test/198.51.100.250") },
			truth:  "virbr0's dnsmasq gives another address for site.test (198.51.100.250, a blocking page that is gone); addresses themselves are reached",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.250`}},
		// https://github.com/moby/moby/issues/49665
		{name: "third-no-resolver", do: func(w *hostSuite) { w.asDocker(); w.noResolver() }, commands: []string{"site:ip route add blackhole 8.8.0.0/16"}, back: []string{"site:ip route del blackhole 8.8.0.0/16"},
			truth:  "resolv.conf names no server (a broken link): the host asks itself, where nobody listens; Docker's containers have 8.8.8.8, which is not reached, or none",
			places: []string{onRunner, onDocker}, names: []string{`resolv\.conf|127\.0\.0\.1|8\.8\.8\.8`}, hurt: []string{onRunner + ": names", onDocker + ": names"}},
		// https://github.com/projectcalico/felix/issues/233
		{name: "third-pool-full", do: func(w *hostSuite) { w.names(append(reserved(50, 99), one)...) },
			truth:  "all 50 addresses of virbr0's DHCP server are reserved for others: new guests get none",
			places: []string{onLibvirt}, names: []string{"(?i)no (free )?address(es)? (is |are )?(left|free|available)|dhcp-range|dhcp-host|reserved|none left"}, hurt: []string{onLibvirt + ": lease"}},
		{name: "third-known-only", do: func(w *hostSuite) { w.names(one, "--dhcp-ignore=tag:!known") },
			truth:  "virbr0's DHCP server serves guests that it has an entry for alone: others get no address",
			places: []string{onLibvirt}, names: []string{"(?i)dhcp-ignore|known"}, hurt: []string{onLibvirt + ": lease"}},
		{name: "third-netmask", do: func(w *hostSuite) { w.names(one, "--dhcp-option=option:netmask,255.255.255.252") },
			truth:  "virbr0's DHCP server gives the netmask 255.255.255.252: for its guests the router 192.168.122.1 is not on their network",
			places: []string{onLibvirt}, names: []string{`255\.255\.255\.252|/30|(?i)netmask`}},
		{name: "third-classless", do: func(w *hostSuite) { w.names(one, "--dhcp-option=121,0.0.0.0/0,192.168.122.254"); w.offersRoutes() },
			truth:  "virbr0's DHCP server gives a classless default route (option 121) by 192.168.122.254, which is not there; clients take it before option 3 (RFC 3442)",
			places: []string{onLibvirt}, names: []string{`192\.168\.122\.254`}},
		{name: "third-rogue-dhcp", do: func(w *hostSuite) { w.names(one, "--dhcp-reply-delay=1"); w.rogue() },
			truth:  "a guest of virbr0, 192.168.122.20, is a DHCP server too, answers first, and names itself as router; it forwards nothing",
			places: []string{onLibvirt}, names: []string{`192\.168\.122\.20\b|(?i)second|another|other server`}},
	}
}

// hostsThirdPairs are two faults at once.
func hostsThirdPairs() []row {
	return []row{
		{name: "third-two-layers", commands: []string{"iptables-nft -A FORWARD -i virbr0 -m conntrack --ctstate NEW -j REJECT", "nft insert rule inet nat post ip saddr 192.168.122.0/24 oifname up0 snat ip to 198.51.100.70-198.51.100.79"},
			truth:  "virbr0: FORWARD rejects new connections, and behind that a pool of addresses (198.51.100.70-79) that are not the host's",
			places: []string{onLibvirt}, names: []string{"FORWARD", `198\.51\.100\.70`}, hurt: []string{onLibvirt + ": page"}},
		{name: "third-two-places", do: func(w *hostSuite) { w.names("--server=198.51.100.2", "--dhcp-ignore=tag:!known"); w.dropAll(docker) }, back: []string{"tc qdisc del dev docker0 clsact", "ip link set docker0 txqueuelen 0"},
			truth:  "a BPF program drops all of docker0, and virbr0's DHCP server serves known guests alone",
			places: []string{onDocker, onLibvirt}, names: []string{"(?i)bpf|clsact|tc ", "(?i)dhcp"}, hurt: []string{onDocker + ": page", onLibvirt + ": lease"}},
	}
}

// asDocker has who checks docker0 by hand ask whom Docker tells containers to ask: never a
// server on the host's loopback.
func (w *hostSuite) asDocker() {
	w.bridgeGuests[2].resolver = func() string {
		if netip.MustParseAddr(w.resolver).IsLoopback() {
			return "8.8.8.8"
		}
		return w.resolver
	}
}

// noResolver leaves a resolv.conf that names none; libraries ask the loopback then.
func (w *hostSuite) noResolver() {
	w.t.Helper()
	w.resolver = "127.0.0.1"
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "resolv.conf"), []byte("# written by nobody\n"), 0o644))
}

// siteAnswers has a resolver at the site until the test's end.
func (w *hostSuite) siteAnswers(at string, answer func(dns.ResponseWriter, *dns.Msg)) {
	w.t.Helper()
	var conn net.PacketConn
	w.Site.Do(w.t, func() {
		var err error
		conn, err = net.ListenPacket("udp", net.JoinHostPort(at, "53"))
		require.NoError(w.t, err)
	})
	started := make(chan struct{})
	s := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(answer)}
	go func() {
		if err := s.ActivateAndServe(); err != nil {
			w.t.Errorf("serve names: %v", err)
		}
	}()
	await.Receive(w.t, started)
	w.t.Cleanup(func() { require.NoError(w.t, s.Shutdown()) })
}

// answersTruncated has each answer be too large for UDP.
func answersTruncated(rw dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Truncated = true
	_ = rw.WriteMsg(m) // who asked may be gone
}

// answersNoAAAA answers nothing but questions for IPv4 addresses.
func answersNoAAAA(rw dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	if q.Question[0].Qtype == dns.TypeA {
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: observetest.Site.AsSlice()}}
		_ = rw.WriteMsg(m) // who asked may be gone
	}
}

// reserved has dnsmasq keep these addresses for others.
func reserved(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprintf("--dhcp-host=52:54:00:aa:00:%02x,192.168.122.%d", i, i))
	}
	return all
}

// offersRoutes checks that the bridge's DHCP server gives classless routes to who asks for them.
func (w *hostSuite) offersRoutes() {
	w.t.Helper()
	var routes dhcpv4.Routes
	w.bridgeGuests[3].do(func() {
		client, err := nclient4.New(observetest.NIC, nclient4.WithTimeout(5*time.Second))
		require.NoError(w.t, err)
		offer, err := client.DiscoverOffer(w.t.Context(), dhcpv4.WithRequestedOptions(dhcpv4.OptionClasslessStaticRoute))
		require.NoError(w.t, errors.Join(err, client.Close()))
		routes = offer.ClasslessStaticRoute()
	})
	require.Len(w.t, routes, 1)
}

// rogue has a guest of the bridge with a DHCP server be another one; the suite ends it as
// it ends the first.
func (w *hostSuite) rogue() {
	w.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface="+observetest.NIC, "--bind-dynamic",
		"--dhcp-range=192.168.122.200,192.168.122.220", "--dhcp-option=option:router,192.168.122.20", "--dhcp-option=option:dns-server,192.168.122.1", "--no-ping", "--no-hosts", "--pid-file=", "--dhcp-leasefile="+filepath.Join(w.dir, "rogue"), "--user=root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	guest := w.bridgeGuests[3]
	guest.do(func() { require.NoError(w.t, cmd.Start()) })
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it was ended with the row
		require.Error(w.t, cmd.Wait())
	})
	await.True(w.t, func() bool {
		var text []byte
		guest.do(func() {
			var err error
			text, err = os.ReadFile("/proc/thread-self/net/udp")
			require.NoError(w.t, err)
		})
		return strings.Contains(string(text), ":0043 ")
	}, "the second DHCP server never came")
}

// dropAll leaves a program on a link that drops all that comes in by it.
func (w *hostSuite) dropAll(link string) {
	w.t.Helper()
	w.run("tc", "qdisc", "add", "dev", link, "clsact")
	w.run("tc", "filter", "add", "dev", link, "ingress", "bpf", "da", "bytecode", "1,6 0 0 2")
}

// tunnel is a VPN that all of the internet goes through but the uplink's own network.
func (w *hostSuite) tunnel() {
	w.t.Helper()
	require.NoError(w.t, w.Router.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, PeerName: "far0", PeerNamespace: netlink.NsFd(w.Site.FD())}))
	for _, c := range []string{"ip address add 203.0.113.1/24 dev tun0", "ip link set tun0 up", "site:ip address add 203.0.113.2/24 dev far0", "site:ip link set far0 up", "ip route add 0.0.0.0/1 via 203.0.113.2 dev tun0", "ip route add 128.0.0.0/1 via 203.0.113.2 dev tun0"} {
		w.command(c)
	}
}

// secondDefault prefers a gateway at the second uplink, which is not there.
func (w *hostSuite) secondDefault() {
	w.t.Helper()
	for _, c := range []string{"ip route del default", "ip route add default via 198.51.100.2 dev up0 onlink metric 600", "ip route add default via 203.0.113.9 dev up1 metric 100"} {
		w.command(c)
	}
}
