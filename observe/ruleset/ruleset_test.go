package ruleset_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// native are rules of many kinds, as nft takes and gives them.
const native = `
table inet fw {
	comment "who made this"
	set bad {
		type ipv4_addr
		flags interval
		elements = { 1.2.3.0/24, 5.6.7.8 }
	}
	chain sub {
		drop
	}
	chain forward {
		comment "of ours"
		type filter hook forward priority filter; policy drop;
		ct state vmap { invalid : drop, established : accept, related : jump sub }
		iifname "br-*" oifname "eth0" accept
		ip saddr { 1.1.1.1, 3.3.3.3-3.3.3.9, 10.0.0.0/8 } tcp dport { 80, 443 } counter accept
		ip saddr @bad drop
		ip6 saddr fe80::/10 drop
		tcp dport 22-25 reject with tcp reset
		udp sport 53 udp dport != 53 reject with icmpx admin-prohibited
		meta mark 0x00000001 ct mark set 0x00000002 drop
		ct state new tcp flags syn / syn,ack meta length > 1400 jump sub
		ct original ip daddr 1.2.3.4 drop
		fib daddr type local goto sub
		fib saddr . iif oif missing drop
		icmp type echo-request drop
		icmpv6 type nd-neighbor-solicit drop
		ip ttl < 5 drop
		ip daddr 10.1.2.0/23 ip daddr != 10.1.2.3 drop
	}
	chain nat {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 80 dnat ip to 1.2.3.4:8080
		udp dport 5 redirect to :99
	}
	chain ing {
		type filter hook ingress devices = { v0, v1 } priority 0; policy accept;
		ip saddr 1.1.1.1 drop
	}
}
table netdev nd {
	chain out {
		type filter hook egress device v0 priority 5; policy accept;
		udp dport 53 drop
	}
}
table bridge br {
	chain f {
		type filter hook forward priority -200; policy accept;
		ether type arp drop
		ether saddr 00:11:22:33:44:55 ip saddr 1.2.3.4 drop
	}
}
table arp aa {
	chain i {
		type filter hook input priority 0; policy accept;
		arp saddr ip 1.2.3.4 arp operation request drop
	}
}
`

func isolated(t *testing.T) bool {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make devices")
	}
	return nettest.Isolated(t)
}

func run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

func read(t *testing.T, o ruleset.Options) *ruleset.View {
	t.Helper()
	v, err := ruleset.Read(t.Context(), o)
	require.NoError(t, err)
	return v
}

func chain(t *testing.T, v *ruleset.View, family ruleset.Family, table, name string) *ruleset.Chain {
	t.Helper()
	c := v.Chain(ruleset.ChainID{Family: family, Table: table, Chain: name})
	require.NotNil(t, c)
	return c
}

func devices(t *testing.T) {
	t.Helper()
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"}))
}

func TestOwnTextIsWhatNFTSays(t *testing.T) {
	if !isolated(t) {
		return
	}
	devices(t)
	run(t, native, "nft", "-f", "-")
	before := run(t, "", "nft", "-a", "list", "ruleset")
	own, told := read(t, ruleset.Options{}), read(t, ruleset.Options{Programs: true})
	require.Equal(t, before, run(t, "", "nft", "-a", "list", "ruleset"), "reading changes nothing")
	n := 0
	for i, c := range own.Chains {
		require.Equal(t, c.ChainID, told.Chains[i].ChainID)
		require.Len(t, told.Chains[i].Rules, len(c.Rules))
		for j, r := range c.Rules {
			other := told.Chains[i].Rules[j]
			require.Equal(t, ruleset.FromKernel, r.Source)
			require.Equal(t, ruleset.FromNFT, other.Source)
			require.Equal(t, strings.ReplaceAll(other.Text, "counter ", ""), r.Text)
			n++
		}
	}
	require.Equal(t, 24, n)
	require.Empty(t, own.Missing)
	require.Empty(t, told.Missing)
}

func TestReadShowsChainsOfEveryFamilyAndHook(t *testing.T) {
	if !isolated(t) {
		return
	}
	devices(t)
	run(t, native, "nft", "-f", "-")
	v := read(t, ruleset.Options{})
	base := map[string]ruleset.Base{}
	for _, c := range v.Chains {
		if c.Base != nil {
			base[c.ChainID.String()] = *c.Base
		}
	}
	require.ElementsMatch(t, []string{"v0", "v1"}, base["inet fw ing"].Devices)
	ing := base["inet fw ing"]
	ing.Devices = nil
	base["inet fw ing"] = ing
	require.Equal(t, map[string]ruleset.Base{
		"inet fw forward": {Hook: ruleset.Forward, Type: "filter", Policy: ruleset.Drop},
		"inet fw nat":     {Hook: ruleset.Prerouting, Priority: -100, Type: "nat", Policy: ruleset.Accept},
		"inet fw ing":     {Hook: ruleset.Ingress, Type: "filter", Policy: ruleset.Accept},
		"netdev nd out":   {Hook: ruleset.Egress, Priority: 5, Type: "filter", Policy: ruleset.Accept, Devices: []string{"v0"}},
		"bridge br f":     {Hook: ruleset.Forward, Priority: -200, Type: "filter", Policy: ruleset.Accept},
		"arp aa i":        {Hook: ruleset.Input, Type: "filter", Policy: ruleset.Accept},
	}, base)
	require.Equal(t, []string{"v0", "v1"}, v.Devices())
	require.Equal(t, "who made this", v.Table(ruleset.INet, "fw").Comment)
	require.Equal(t, []string{"bad"}, v.Table(ruleset.INet, "fw").Sets)
	rules := chain(t, v, ruleset.INet, "fw", "forward").Rules
	require.Equal(t, "of ours", chain(t, v, ruleset.INet, "fw", "forward").Comment)
	require.ElementsMatch(t, []ruleset.Verdict{{Kind: ruleset.Drop}, {Kind: ruleset.Accept}, {Kind: ruleset.Jump, Chain: "sub"}}, rules[0].Verdicts)
	require.Equal(t, &ruleset.Counter{}, rules[2].Counter)
	require.Nil(t, rules[1].Counter)
	require.Equal(t, []string{"bad"}, rules[3].Sets)
	require.True(t, rules[5].Rejects())
	require.Len(t, v.On(ruleset.IP6, ruleset.Forward), 1)
	require.Empty(t, v.On(ruleset.IP6, ruleset.Output))
}

func TestLocateFindsARuleAndAPolicyInTheirPlace(t *testing.T) {
	if !isolated(t) {
		return
	}
	devices(t)
	run(t, native, "nft", "-f", "-")
	v := read(t, ruleset.Options{})
	b, err := json.Marshal(v)
	require.NoError(t, err)
	decoded := &ruleset.View{}
	require.NoError(t, json.Unmarshal(b, decoded))
	for _, v := range []*ruleset.View{v, decoded} {
		rules := chain(t, v, ruleset.INet, "fw", "forward").Rules
		at, ok := v.Locate(ruleset.INet, "fw", "forward", rules[3].Handle)
		require.True(t, ok)
		require.Equal(t, "ip saddr @bad drop", at.Rule.Text)
		require.Equal(t, rules[2].Handle, at.Before)
		require.Equal(t, rules[4].Handle, at.After)
		require.Equal(t, "fw", at.Table.Name)

		at, ok = v.Locate(ruleset.INet, "fw", "sub", chain(t, v, ruleset.INet, "fw", "sub").Rules[0].Handle)
		require.True(t, ok)
		require.Len(t, at.Bases, 1, "by a map's jump")
		require.Equal(t, "forward", at.Bases[0].Chain)

		at, ok = v.Locate(ruleset.INet, "fw", "forward", 0)
		require.True(t, ok)
		require.Nil(t, at.Rule)
		require.Equal(t, ruleset.Drop, at.Chain.Base.Policy)
		require.Equal(t, rules[len(rules)-1].Handle, at.Before)

		_, ok = v.Locate(ruleset.INet, "fw", "sub", 0)
		require.False(t, ok, "it has no policy")
		_, ok = v.Locate(ruleset.INet, "fw", "forward", 9999)
		require.False(t, ok)
	}
}

func TestIPTablesRulesAreShownInItsWords(t *testing.T) {
	if !isolated(t) {
		return
	}
	for _, words := range []string{
		"iptables-nft -P FORWARD DROP", "iptables-nft -N DOCKER-USER", "iptables-nft -A FORWARD -j DOCKER-USER",
		"iptables-nft -A DOCKER-USER -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -m comment --comment mine -j REJECT --reject-with icmp-host-prohibited",
		"iptables-nft -t nat -A POSTROUTING -s 10.77.0.0/24 ! -o docker0 -j MASQUERADE", "ip6tables-nft -A OUTPUT -d 2001:db8::/32 -j DROP",
	} {
		all := strings.Fields(words)
		run(t, "", all[0], all[1:]...)
	}
	before := run(t, "", "nft", "list", "ruleset")
	v, own := read(t, ruleset.Options{Programs: true}), read(t, ruleset.Options{})
	require.Equal(t, before, run(t, "", "nft", "list", "ruleset"), "reading makes no tables or chains")
	require.True(t, v.Table(ruleset.IP, "filter").XTables)
	require.Equal(t, &ruleset.Counter{}, chain(t, v, ruleset.IP, "filter", "FORWARD").Base.Counter)
	r := chain(t, v, ruleset.IP, "filter", "DOCKER-USER").Rules[0]
	require.Equal(t, "-A DOCKER-USER -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -m comment --comment mine -j REJECT --reject-with icmp-host-prohibited", r.Text)
	require.Equal(t, ruleset.FromSave, r.Source)
	require.Equal(t, "mine", r.Comment)
	require.True(t, r.Rejects())
	require.Equal(t, `iifname "eth0" tcp dport 80 ctstate NEW /* mine */ xt target "REJECT"`, chain(t, own, ruleset.IP, "filter", "DOCKER-USER").Rules[0].Text)
	require.Equal(t, "-A POSTROUTING -s 10.77.0.0/24 ! -o docker0 -j MASQUERADE", chain(t, v, ruleset.IP, "nat", "POSTROUTING").Rules[0].Text)
	require.Equal(t, "-A OUTPUT -d 2001:db8::/32 -j DROP", chain(t, v, ruleset.IP6, "filter", "OUTPUT").Rules[0].Text)
}

func TestReadSaysWhatItCannotSee(t *testing.T) {
	if !isolated(t) {
		return
	}
	v := read(t, ruleset.Options{})
	require.Empty(t, v.Chains)
	require.Empty(t, v.Missing)
	run(t, "", "iptables-legacy", "-P", "FORWARD", "DROP")
	v = read(t, ruleset.Options{})
	require.Len(t, v.Missing, 1)
	require.Equal(t, ruleset.LegacySource, v.Missing[0].Source)

	// Capabilities are a thread's; this one ends with the test's goroutine.
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	require.NoError(t, unix.Capset(&header, &none[0]))
	_, err := ruleset.Read(t.Context(), ruleset.Options{})
	var u *observe.Unavailable
	require.ErrorAs(t, err, &u)
	require.Equal(t, ruleset.Source, u.Source)
	require.Contains(t, u.Why, "CAP_NET_ADMIN")
}
