package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/report"
)

// The bridges of a test host, beside the one with a guest on it.
const (
	docker  = "docker0"
	libvirt = "virbr0" // with a DHCP server
)

// testHost is a host with three bridges and a site behind its uplink.
type testHost struct {
	*observetest.Network
	t       *testing.T
	dir     string
	targets string
}

func newTestHost(t *testing.T) *testHost {
	t.Helper()
	h := &testHost{Network: observetest.New(t), t: t, dir: t.TempDir()}
	for i, b := range []struct{ name, address string }{{docker, "172.17.0.1/24"}, {libvirt, "192.168.122.1/24"}} {
		// As programs make them: with a hardware address of their own.
		link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: b.name}}
		require.NoError(t, h.Router.LinkAdd(link))
		require.NoError(t, h.Router.LinkSetHardwareAddr(link, net.HardwareAddr{0x52, 0x54, 0, 0, 0, byte(i)}))
		address, err := netlink.ParseAddr(b.address)
		require.NoError(t, err)
		require.NoError(t, h.Router.AddrAdd(link, address))
		h.Router.Up(t, b.name)
		h.visit(b.name)
	}
	h.Router.Route(t, observetest.Uplink, "", observetest.Site)
	h.Router.Route(t, observetest.Uplink, "", observetest.Site6)
	for _, a := range []netip.Addr{observetest.Site, observetest.Site6} {
		h.Site.Do(t, func() {
			observetest.ServeWeb(t, netip.AddrPortFrom(a, 80))
			observetest.ServeNames(t, netip.AddrPortFrom(a, 53))
		})
	}
	observetest.ServeNames(t, netip.AddrPortFrom(observetest.Gateway, 53))
	h.nft("table inet nat { chain post { type nat hook postrouting priority srcnat; oifname " + observetest.Uplink + " masquerade; }; }")
	h.serve()
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "resolv.conf"), []byte("nameserver "+observetest.Site.String()+"\n"), 0o644))
	h.targets = targetFile(t, `deadlines: {connect: 700ms, dns-a: 700ms, dns-aaaa: 700ms, first-address: 1s, http: 2s, path-mtu: 2s}
dns: [site.test]
tcp: ["site.test:80", "198.51.100.2:80"]
http: ["http://site.test/"]
path_mtu: [{url: "http://site.test/large", bytes: 65536}]
`)
	h.settled()
	require.Eventually(t, func() bool {
		return !strings.Contains(h.run("ip", "link", "show", docker)+h.run("ip", "link", "show", libvirt), " state UP ")
	},
		time.Minute, 50*time.Millisecond, "the kernel tells some time later that a bridge has no port")
	return h
}

// visit has a first guest come and go: the kernel configures a bridge's own link then.
func (h *testHost) visit(bridge string) {
	h.t.Helper()
	guest := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "first", MasterIndex: h.Router.Link(h.t, bridge).Attrs().Index}, PeerName: "other"}
	require.NoError(h.t, h.Router.LinkAdd(guest))
	h.Router.Up(h.t, "first")
	h.Router.Up(h.t, "other")
	// The kernel takes its time to tell that there is a port now.
	require.Eventually(h.t, func() bool {
		addresses := h.run("ip", "-6", "address", "show", "dev", bridge)
		return strings.Contains(addresses, "inet6 fe80:") && !strings.Contains(addresses, "tentative")
	}, time.Minute, 20*time.Millisecond, "the link of %s was never configured", bridge)
	require.NoError(h.t, h.Router.LinkDel(guest))
}

// serve has a DHCP server on the bridge that has one, until the test's end.
func (h *testHost) serve() {
	h.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(h.t.Context()), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--interface="+libvirt,
		"--bind-dynamic", "--except-interface=lo", "--dhcp-range=192.168.122.50,192.168.122.99", "--no-ping", "--no-resolv", "--no-hosts",
		"--server="+observetest.Site.String(), "--pid-file=", "--dhcp-leasefile="+filepath.Join(h.dir, "leases"), "--user=root")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(h.t, cmd.Start())
	h.t.Cleanup(func() {
		require.NoError(h.t, cmd.Process.Kill())
		require.Error(h.t, cmd.Wait())
	})
	require.Eventually(h.t, func() bool {
		conn, err := net.Dial("tcp", "192.168.122.1:53")
		return err == nil && conn.Close() == nil
	}, time.Minute, 10*time.Millisecond, "dnsmasq never answered")
}

// settled waits until no address is tentative: it would be another one later.
func (h *testHost) settled() {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return !strings.Contains(h.run("ip", "-6", "address", "show", "up"), "tentative") }, time.Minute, 50*time.Millisecond)
}

func (h *testHost) run(name string, args ...string) string {
	h.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(h.t, err, "%s %v: %s", name, args, out)
	return string(out)
}

func (h *testHost) nft(rules string) {
	h.t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	out, err := cmd.CombinedOutput()
	require.NoError(h.t, err, "%s: %s", rules, out)
}

// doctor is nestlab doctor on the host.
func (h *testHost) doctor(args ...string) *exec.Cmd {
	h.t.Helper()
	all := append([]string{"doctor", "--targets", h.targets, "--journal", filepath.Join(h.dir, "journal.json")}, args...)
	cmd := exec.CommandContext(h.t.Context(), os.Args[0], all...)
	cmd.Env = h.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	return cmd
}

// environment has this binary be nestlab on the host.
func (h *testHost) environment() []string {
	return append(os.Environ(), asNestlab+"=1", resolvConf+"="+filepath.Join(h.dir, "resolv.conf"), "DOCKER_HOST=unix:///nestlab/none", "TMPDIR="+h.dir)
}

// examine has the host examined, and tells the run and the exit code.
func (h *testHost) examine(args ...string) (model.Run, int, string) {
	h.t.Helper()
	return h.examined(h.doctor(append(args, "--json", "--verbose")...))
}

// examined runs a doctor that says its run in JSON, changed before.
func (h *testHost) examined(cmd *exec.Cmd, changes ...func(*testing.T, *exec.Cmd)) (model.Run, int, string) {
	h.t.Helper()
	for _, c := range changes {
		c(h.t, cmd)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	require.True(h.t, err == nil || errors.As(err, &exit), "%v: %s", err, &errs)
	run, err := report.Decode(&out)
	require.NoError(h.t, err, "%s", &errs)
	return run, cmd.ProcessState.ExitCode(), errs.String()
}

var counts = regexp.MustCompile(`packets \d+ bytes \d+|\[\d+:\d+\]|^#.*`)

// state is all that a doctor is to leave as it was.
func (h *testHost) state() string {
	h.t.Helper()
	var all []string
	for _, words := range []string{"ip link", "ip address", "ip route show table all", "ip -6 route show table all", "ip rule", "nft list ruleset", "sysctl -a --pattern ^net.ipv[46].(ip_forward|conf)"} {
		w := strings.Fields(words)
		all = append(all, words, counts.ReplaceAllString(h.run(w[0], w[1:]...), ""))
	}
	return strings.Join(all, "\n")
}

// differ lists the lines of one text that are not in the other.
func differ(before, after string) []string {
	var all []string
	for _, c := range []struct{ sign, in, out string }{{"-", before, after}, {"+", after, before}} {
		known := strings.Split(c.out, "\n")
		for line := range strings.SplitSeq(c.in, "\n") {
			if !slices.Contains(known, line) {
				all = append(all, c.sign+line)
			}
		}
	}
	return all
}

// hostFault is a fault of the host, and what a doctor is to find.
type hostFault struct {
	name, nft string
	commands  []string
	back      []string
	causes    []string
	bridges   []string
}

func hostFaults() []hostFault {
	all := []string{"bridge " + observetest.Bridge, "bridge " + docker, "bridge " + libvirt}
	one := all[:1]
	forward := func(rule string) string {
		return "table inet admin { chain forward { type filter hook forward priority 0; " + rule + "; }; }"
	}
	return []hostFault{
		{"Docker's policy", "", []string{"iptables-nft -N DOCKER-USER", "iptables-nft -A FORWARD -j DOCKER-USER", "iptables-nft -A FORWARD -i docker0 -j ACCEPT", "iptables-nft -A FORWARD -o docker0 -j ACCEPT", "iptables-nft -P FORWARD DROP"}, nil,
			[]string{"docker-forward-drop"}, []string{all[0], all[2]}},
		{"a policy", "", []string{"iptables-nft -P FORWARD DROP"}, nil, []string{"firewall-forward-drop"}, all},
		{"a policy that counts nothing", forward("policy drop; ct state established,related accept"), nil, nil, []string{"firewall-forward-drop"}, all},
		{"a rule that rejects", "", []string{"iptables-nft -A FORWARD -i br0 -j REJECT"}, nil, []string{"firewall-forward-drop"}, one},
		{"a rule in mangle", "", []string{"iptables-nft -t mangle -A FORWARD -i br0 -j DROP"}, nil, []string{"firewall-forward-drop", "dropped-by-rule"}, one},
		{"a rule before routing", "table ip raw { chain pre { type filter hook prerouting priority raw; iifname br0 ip daddr 198.51.100.0/24 drop; }; }", nil, nil, []string{"dropped-by-rule"}, one},
		{"a rule on answers", forward("oifname virbr0 drop"), nil, nil, []string{"firewall-forward-drop", "dropped-by-rule"}, all[2:]},
		{"a rule on frames", "table netdev early { chain in { type filter hook ingress device up0 priority -500; tcp sport 80 drop; }; }", nil, nil, []string{"dropped-by-rule"}, append([]string{"runner"}, all...)},
		{"names are dropped", "table inet admin { chain in { type filter hook input priority 0; iifname virbr0 meta l4proto { tcp, udp } th dport 53 drop; }; }", nil, nil, []string{"dns-blocked", "dropped-by-rule"}, all[2:]},
		{"requests for addresses are dropped", "table inet admin { chain in { type filter hook input priority 0; iifname virbr0 udp dport 67 drop; }; }", nil, nil, []string{"dhcp-blocked", "dropped-by-rule"}, all[2:]},
		{"no forwarding", "", []string{"sysctl -w net.ipv4.ip_forward=0"}, []string{"sysctl -w net.ipv4.ip_forward=1"}, []string{"ip-forward-off"}, all},
		{"no forwarding from one bridge", "", []string{"sysctl -w net.ipv4.conf.virbr0.forwarding=0"}, []string{"sysctl -w net.ipv4.conf.virbr0.forwarding=1"}, []string{"ip-forward-off"}, all[2:]},
		{"no forwarding of answers", "", []string{"sysctl -w net.ipv4.conf.up0.forwarding=0"}, []string{"sysctl -w net.ipv4.conf.up0.forwarding=1"}, []string{"ip-forward-off"}, all},
		{"a rule of routing", "", []string{"ip rule add from 192.168.122.0/24 lookup 77", "ip route add unreachable default table 77"}, []string{"ip rule del from 192.168.122.0/24 lookup 77", "ip route flush table 77"}, []string{"misrouted", "dropped-by-kernel"}, all[2:]},
		{"the wrong way", "", []string{"ip rule add from 172.17.0.0/24 lookup 78", "ip route add default dev virbr0 table 78"}, []string{"ip rule del from 172.17.0.0/24 lookup 78", "ip route flush table 78"}, []string{"misrouted"}, all[1:2]},
	}
}

// repair takes a fault away.
func (h *testHost) repair(ill hostFault) {
	h.t.Helper()
	for _, c := range ill.back {
		w := strings.Fields(c)
		h.run(w[0], w[1:]...)
	}
	h.nft("flush ruleset")
	h.nft("table inet nat { chain post { type nat hook postrouting priority srcnat; oifname " + observetest.Uplink + " masquerade; }; }")
	require.NoError(h.t, h.Router.ConntrackTableFlush(netlink.ConntrackTable))
}

// left lists processes and directories of doctors of this host.
func (h *testHost) left() []string {
	h.t.Helper()
	left, err := filepath.Glob(filepath.Join(h.dir, "nestlab-doctor-*"))
	require.NoError(h.t, err)
	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(h.t, err)
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(h.t, err)
	for _, p := range all {
		text, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if at, failed := os.Readlink(filepath.Join(p, "ns/net")); failed != nil || at != own || err != nil {
			continue
		}
		if words := strings.Split(string(text), "\x00"); len(words) > 1 && words[1] == "doctor" {
			left = append(left, strings.Join(words, " "))
		}
	}
	return left
}

func (h *testHost) nestlab(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asNestlab+"=1")
	return cmd
}
