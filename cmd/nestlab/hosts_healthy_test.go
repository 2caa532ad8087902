package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// hostsHealthy are hosts whose firewalls are strict and right.
func hostsHealthy() []row {
	return []row{
		{name: "ok-ufw-routed-allowed", rules: []string{"ufw.v4", "ufw.v6"}, truth: "ufw route allow for each bridge, ufw allow in for DHCP and DNS",
			commands: append(accept("iptables-nft -A ufw-user-forward -i %s -o up0 -j ACCEPT"), "ip6tables-nft -A ufw6-user-forward -i br0 -o up0 -j ACCEPT", "iptables-nft -A ufw-user-input -i virbr0 -p udp -m multiport --dports 53,67 -j ACCEPT", "iptables-nft -A ufw-user-input -i virbr0 -p tcp --dport 53 -j ACCEPT", "iptables-nft -A ufw-user-input -i br0 -p udp --dport 53 -j ACCEPT")},
		{name: "ok-firewalld-zones", rules: []string{"firewalld.nft"}, truth: "firewalld with br0 in trusted",
			commands: []string{"nft insert rule inet firewalld filter_INPUT_ZONES iifname br0 accept", "nft insert rule inet firewalld filter_FORWARD_IN_ZONES iifname br0 accept"}},
		{name: "ok-nft-all-drop", rules: []string{"strict.nft"}, truth: "inet filter drops by default in input, forward and output, with the right accepts"},
		{name: "ok-shorewall-interfaces", rules: []string{"shorewall.v4"}, truth: "Shorewall with all bridges in loc",
			commands: []string{"iptables-nft -I INPUT 3 -i docker0 -j loc-fw", "iptables-nft -I INPUT 3 -i virbr0 -j loc-fw", "iptables-nft -I FORWARD 3 -i docker0 -j loc_frwd", "iptables-nft -I FORWARD 3 -i virbr0 -j loc_frwd"}},
		{name: "ok-docker28-docker-user", rules: []string{"docker28.v4", "libvirt10.nft"}, truth: "Docker's policy DROP, the others accepted in DOCKER-USER",
			commands: []string{"iptables-nft -A DOCKER-USER -i br0 -j ACCEPT", "iptables-nft -A DOCKER-USER -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables-nft -A DOCKER-USER -i virbr0 -j ACCEPT", "iptables-nft -A DOCKER-USER -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}},
		{name: "ok-docker24-libvirt9-lxd", rules: []string{"docker24.v4", "libvirt.v4"}, truth: "Docker's policy DROP, libvirt's chains first, LXD's rules for br0",
			commands: []string{"iptables-nft -I FORWARD -i br0 -j ACCEPT -m comment --comment generated-for-LXD", "iptables-nft -I FORWARD -o br0 -j ACCEPT -m comment --comment generated-for-LXD"}},
		{name: "ok-csf-with-csfpost", rules: []string{"csf.v4"}, truth: "csf with a csfpost.sh for the bridges",
			commands: append(accept("iptables-nft -A FORWARD -i %s -o up0 -j ACCEPT"), "iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables-nft -I INPUT -i virbr0 -p udp --dport 67 -j ACCEPT", "iptables-nft -I OUTPUT -o virbr0 -j ACCEPT")},
		{name: "ok-limits", truth: "rate and connection limits that do not bite",
			commands: []string{"iptables-nft -A FORWARD -p tcp --syn -m hashlimit --hashlimit-above 200/sec --hashlimit-burst 400 --hashlimit-mode srcip --hashlimit-name syn -j DROP", "iptables-nft -A FORWARD -p tcp -m connlimit --connlimit-above 200 -j REJECT --reject-with tcp-reset", "iptables-nft -A INPUT -p udp --dport 53 -m hashlimit --hashlimit-above 500/sec --hashlimit-burst 500 --hashlimit-name dns -j DROP", "nft add table inet flood", "nft add chain inet flood pass { type filter hook forward priority -5 ; }", "nft add rule inet flood pass ct state new limit rate over 400/second burst 800 packets drop", "nft add rule inet flood pass ip protocol icmp limit rate over 50/second drop"}},
		{name: "ok-bogons", truth: "bogons and banned networks are dropped, none of them used here",
			commands: []string{"iptables-nft -A FORWARD -o up0 -d 10.0.0.0/8 -j REJECT", "iptables-nft -A FORWARD -o up0 -d 192.168.0.0/16 -j DROP", "iptables-nft -A FORWARD -i up0 -s 127.0.0.0/8 -j DROP", "nft add table inet bans", "nft add set inet bans v4 { type ipv4_addr ; flags interval ; elements = { 203.0.113.0/24, 192.0.2.0/24, 198.18.0.0/15 } ; }", "nft add chain inet bans pre { type filter hook prerouting priority raw ; }", "nft add rule inet bans pre ip saddr @v4 drop", "nft add rule inet bans pre ip daddr @v4 drop", "ip route add blackhole 203.0.113.0/24", "ip route add unreachable 192.0.2.0/24", "ip route add prohibit 100.64.0.0/10"},
			back:     []string{"ip route del 203.0.113.0/24", "ip route del 192.0.2.0/24", "ip route del 100.64.0.0/10"}},
		{name: "ok-logging", truth: "all is logged and counted, INVALID is dropped",
			commands: []string{"iptables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP", "iptables-nft -A FORWARD -m conntrack --ctstate NEW -m limit --limit 5/min -j LOG --log-prefix NEW:", "iptables-nft -A INPUT -m conntrack --ctstate INVALID -j DROP", "iptables-nft -A FORWARD -m conntrack --ctstate NEW -j NFLOG --nflog-group 5", "iptables-nft -A OUTPUT -m conntrack --ctstate INVALID -j LOG"}},
		{name: "ok-rpfilter-strict", truth: "strict rp_filter everywhere, and as rules for IPv6",
			commands: []string{"sysctl -w net.ipv4.conf.all.rp_filter=1", "nft add table inet rpf", "nft add chain inet rpf pre { type filter hook prerouting priority raw ; }", "nft add rule inet rpf pre meta nfproto ipv6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept", "nft add rule inet rpf pre meta nfproto ipv6 fib saddr . iif oif missing drop", "sysctl -w net.ipv4.conf.all.log_martians=1", "sysctl -w net.ipv4.conf.all.arp_ignore=1", "sysctl -w net.ipv4.conf.all.arp_announce=2"},
			back:     []string{"sysctl -w net.ipv4.conf.all.rp_filter=0", "sysctl -w net.ipv4.conf.all.log_martians=0", "sysctl -w net.ipv4.conf.all.arp_ignore=0", "sysctl -w net.ipv4.conf.all.arp_announce=0"}},
		{name: "ok-kube-leftovers", rules: []string{"nodelocaldns.v4"}, truth: "kube-proxy's chains without the NOTRACK rules",
			commands: []string{"iptables-nft -t raw -F PREROUTING", "iptables-nft -P FORWARD DROP", "iptables-nft -A FORWARD -o up0 -j ACCEPT", "iptables-nft -A FORWARD -i up0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}},
		{name: "ok-tailscale", truth: "tailscale up, without an exit node", commands: []string{"ip link add tailscale0 type ifb", "ip link set tailscale0 up", "ip address add 100.64.7.7/32 dev tailscale0", "ip route add 100.64.0.0/10 dev tailscale0 table 52", "ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main", "ip rule add priority 5230 fwmark 0x80000/0xff0000 lookup default", "ip rule add priority 5250 fwmark 0x80000/0xff0000 unreachable", "ip rule add priority 5270 lookup 52", "iptables-nft -N ts-forward", "iptables-nft -N ts-input", "iptables-nft -I FORWARD -j ts-forward", "iptables-nft -I INPUT -j ts-input", "iptables-nft -A ts-input -s 100.64.7.7/32 -i lo -j ACCEPT", "iptables-nft -A ts-input -s 100.115.92.0/23 ! -i tailscale0 -j RETURN", "iptables-nft -A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP", "iptables-nft -A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000", "iptables-nft -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT", "iptables-nft -A ts-forward -s 100.64.0.0/10 -o tailscale0 -j DROP", "iptables-nft -A ts-forward -o tailscale0 -j ACCEPT"},
			back: []string{"ip rule del priority 5210", "ip rule del priority 5230", "ip rule del priority 5250", "ip rule del priority 5270", "ip link del tailscale0"}},
		{name: "ok-antispoof-bridge", truth: "bridge family: what a bridge's guests send must be theirs; no foreign DHCP servers",
			commands: []string{"nft add table bridge spoof", "nft add chain bridge spoof pre { type filter hook prerouting priority -300 ; policy accept ; }", "nft add rule bridge spoof pre ether type ip ip saddr != { 0.0.0.0, 10.91.3.0/24, 172.17.0.0/24, 192.168.122.0/24 } drop", "nft add rule bridge spoof pre udp sport 67 udp dport 68 drop", "nft add rule bridge spoof pre icmpv6 type nd-router-advert drop", "nft add table netdev edge", "nft add chain netdev edge early { type filter hook ingress device up0 priority -500 ; }", "nft add rule netdev edge early ip saddr { 127.0.0.0/8, 192.168.122.0/24 } drop", "nft add rule netdev edge early tcp flags & ( fin | syn ) == fin | syn drop"}},
		{name: "ok-docker-user-right", rules: []string{"docker24.v4", "libvirt.v4"}, truth: "DOCKER-USER lets answers back and drops other new connections from outside; br0 accepted there",
			commands: []string{"iptables-nft -F DOCKER-USER", "iptables-nft -A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables-nft -A DOCKER-USER -i up0 ! -s 203.0.113.10/32 -j DROP", "iptables-nft -A DOCKER-USER -i br0 -o up0 -j ACCEPT", "iptables-nft -A DOCKER-USER -j RETURN"}},
		{name: "ok-port-forwards", truth: "DNAT of ports from outside, hairpin, recent for ssh",
			commands: []string{"iptables-nft -t nat -A PREROUTING -i up0 -p tcp --dport 8080 -j DNAT --to-destination 192.168.122.20:80", "iptables-nft -t nat -A PREROUTING -d 198.51.100.1/32 -p tcp --dport 8443 -j DNAT --to-destination 172.17.0.2:443", "iptables-nft -t nat -A POSTROUTING -s 192.168.122.0/24 -d 192.168.122.20/32 -j MASQUERADE", "iptables-nft -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set --name SSH", "iptables-nft -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --update --seconds 60 --hitcount 4 --name SSH -j DROP", "iptables-nft -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"}},
		{name: "ok-foreign-namespace", do: (*hostSuite).foreigner, truth: "a process in a namespace of no guest, whose interface has the number of a guest's of docker0, and a peer of the number of that one's port (a test, a container in a container)"},
	}
}

// accept gives a command for each bridge.
func accept(format string) (all []string) {
	for _, b := range []string{"br0", docker, libvirt} {
		all = append(all, fmt.Sprintf(format, b))
	}
	return all
}

// foreigner has a process in a namespace that is no guest's, until the test's end: its
// interface's other end is in a third one; both have the numbers of a guest's of docker0.
func (w *hostSuite) foreigner() {
	w.t.Helper()
	here, err := netns.Get()
	require.NoError(w.t, err)
	port := w.Router.Link(w.t, "tap-"+docker).Attrs()
	cmd := exec.Command("/bin/sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Chroot: w.root()}
	cmd.Dir = "/"
	within(w.t, here, func() {
		_, err := netns.New()
		require.NoError(w.t, err)
		require.NoError(w.t, cmd.Start())
	})
	within(w.t, here, func() {
		_, err := netns.New()
		require.NoError(w.t, err)
		w.run("ip", "link", "add", "name", "peer", "index", strconv.Itoa(port.Index), "type", "veth", "peer", "name", "eth0", "index", strconv.Itoa(port.ParentIndex), "netns", strconv.Itoa(cmd.Process.Pid))
		w.run("ip", "link", "set", "peer", "up")
	})
	w.run("nsenter", "--net=/proc/"+strconv.Itoa(cmd.Process.Pid)+"/ns/net", "ip", "link", "set", "eth0", "up")
	w.t.Cleanup(func() {
		require.NoError(w.t, cmd.Process.Kill())
		require.Error(w.t, cmd.Wait())
	})
}

// root is a directory that is a container's in all that a doctor looks at.
func (w *hostSuite) root() string {
	w.t.Helper()
	dir := w.t.TempDir()
	for _, name := range []string{"etc", "usr"} {
		require.NoError(w.t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	require.NoError(w.t, os.WriteFile(filepath.Join(dir, "etc/resolv.conf"), []byte("nameserver 172.17.0.1\n"), 0o644))
	require.NoError(w.t, os.WriteFile(filepath.Join(dir, "etc/hostname"), []byte("foreigner\n"), 0o644))
	for _, name := range []string{"bin", "lib", "lib64"} {
		require.NoError(w.t, os.Symlink("usr/"+name, filepath.Join(dir, name)))
	}
	require.NoError(w.t, unix.Mount("/usr", filepath.Join(dir, "usr"), "", unix.MS_BIND, ""))
	w.t.Cleanup(func() { require.NoError(w.t, unix.Unmount(filepath.Join(dir, "usr"), unix.MNT_DETACH)) })
	return dir
}
