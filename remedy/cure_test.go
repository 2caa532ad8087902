package remedy_test

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
)

const (
	site   = "198.51.100.10"
	uplink = "up0"
	guests = "192.0.2.0/24"
)

// outside is a network behind an uplink, which knows no way back to guests.
func outside(t *testing.T) {
	t.Helper()
	cmd := exec.Command("sleep", "600") // keeps the namespace
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	require.NoError(t, cmd.Start())
	ns, err := netns.GetFromPid(cmd.Process.Pid)
	require.NoError(t, err)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: uplink}, PeerName: "site0", PeerNamespace: netlink.NsPid(cmd.Process.Pid)}
	require.NoError(t, netlink.LinkAdd(veth))
	nettest.Address(t, nil, uplink, "198.51.100.1/24")
	require.NoError(t, netlink.LinkSetUp(veth))
	there, err := netlink.NewHandleAt(ns)
	require.NoError(t, err)
	link, err := there.LinkByName("site0")
	require.NoError(t, err)
	address, err := netlink.ParseAddr(site + "/24")
	require.NoError(t, err)
	require.NoError(t, there.AddrAdd(link, address))
	require.NoError(t, there.LinkSetUp(link))
	l := listenIn(t, ns)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		there.Close()
		require.NoError(t, ns.Close())
		require.NoError(t, netlink.LinkDel(veth))
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
	})
	await.True(t, reaches, "the runner reaches the site")
}

// listenIn opens the site's listener on a thread that comes back: /proc/net shows
// the network of the first thread.
func listenIn(t *testing.T, ns netns.NsHandle) net.Listener {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	require.NoError(t, err)
	require.NoError(t, netns.Set(ns))
	l, failed := net.Listen("tcp", site+":80")
	require.NoError(t, netns.Set(here))
	require.NoError(t, here.Close())
	require.NoError(t, failed)
	return l
}

func reaches() bool {
	conn, err := net.DialTimeout("tcp", site+":80", 300*time.Millisecond)
	return err == nil && conn.Close() == nil
}

var (
	nat     = model.Remedy{Name: "nat-on", Parameters: map[string]string{"subnet": guests, "out": uplink}}
	bridged = map[string]string{"bridge": nettest.Near}
)

// cures are what keeps a guest from a site, and the remedy for it.
var cures = []struct {
	name   string
	broken string
	remedy model.Remedy
}{
	{"no NAT", "", nat},
	{"no forwarding", "", model.Remedy{Name: "ip-forward-on"}},
	{"Docker's policy", "iptables-nft -P FORWARD DROP\niptables-nft -N DOCKER-USER\niptables-nft -A FORWARD -j DOCKER-USER", model.Remedy{Name: "docker-user-accept", Parameters: bridged}},
	{"a policy", "iptables-nft -P FORWARD DROP", model.Remedy{Name: "forward-accept"}},
	{"a firewall", "nft add table inet fw\nnft add chain inet fw forward { type filter hook forward priority 0; }\nnft add rule inet fw forward oifname up0 drop", model.Remedy{Name: "firewall-forward-accept", Parameters: bridged}},
	{"a rule of iptables", "iptables-nft -A FORWARD -o up0 -j REJECT", model.Remedy{Name: "firewall-forward-accept", Parameters: bridged}},
	{"a rule in the user's chain", "iptables-nft -N DOCKER-USER\niptables-nft -A FORWARD -j DOCKER-USER\niptables-nft -A DOCKER-USER -o up0 -j DROP",
		model.Remedy{Name: "firewall-forward-accept", Parameters: map[string]string{"bridge": nettest.Near, "chain": "DOCKER-USER"}}},
	{"a rule before routing of legacy iptables", "iptables-legacy -t raw -A PREROUTING -p udp -j DROP\niptables-legacy -t raw -A PREROUTING -i " + nettest.Near + " -j DROP",
		model.Remedy{Name: "accept-before", Parameters: of("table=ip raw", "chain=PREROUTING", "program=iptables-legacy", "handle=2", "index=2", "in="+nettest.Near)}},
	{"a rule of legacy iptables", "iptables-legacy -A FORWARD -o up0 -j DROP", model.Remedy{Name: "firewall-forward-accept", Parameters: bridged}},
}

// What is broken keeps a guest from a site; with the remedy it gets there, and
// without it again it does not.
func TestRemediesCure(t *testing.T) {
	flush(t)
	outside(t)
	guest := nettest.Wire(t)
	t.Cleanup(func() {
		link, err := netlink.LinkByName(nettest.Near)
		require.NoError(t, err)
		require.NoError(t, netlink.LinkDel(link))
	})
	guest.Do(t, func() {
		require.NoError(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(nettest.NearIP)}))
	})
	gets := func() (there bool) {
		guest.Do(t, func() { there = reaches() })
		return there
	}
	for _, test := range cures {
		t.Run(test.name, func(t *testing.T) {
			flush(t)
			t.Cleanup(func() {
				run(t, "iptables-legacy", "-F")
				run(t, "iptables-legacy", "-t", "raw", "-F")
			})
			forwarding := []byte("1")
			if test.remedy.Name == "ip-forward-on" {
				forwarding = []byte("0")
			}
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", forwarding, 0o644))
			lines(t, test.broken)
			if test.remedy.Name != nat.Name {
				apply(t, nat)
			}
			require.False(t, gets(), "broken")
			h := apply(t, test.remedy)
			await.True(t, gets, "with the remedy")
			require.NoError(t, h.Revert(t.Context(), test.remedy))
			require.False(t, gets(), "without it again")
		})
	}
}
