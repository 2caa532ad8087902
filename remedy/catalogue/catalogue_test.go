package catalogue_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

func TestCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	var names []string
	breadth := catalogue.OneGuest
	for _, r := range catalogue.All() {
		names = append(names, r.Name)
		require.GreaterOrEqual(t, r.Breadth, breadth, "%s: the narrowest first", r.Name)
		breadth = r.Breadth
		require.NotEmpty(t, r.About, r.Name)
		require.NotEmpty(t, r.Opens, r.Name)
		require.NotEmpty(t, r.Cost, r.Name)
		require.NotEmpty(t, r.Precondition, r.Name)
		require.NotEmpty(t, r.Commands(nil), r.Name)
		require.NotEmpty(t, r.Undo(nil), r.Name)
		examples := map[string]string{}
		for _, p := range r.Parameters {
			require.NotEmpty(t, p.About, "%s %s", r.Name, p.Name)
			examples[p.Name] = strings.Trim(p.Example, "'")
		}
		complete, err := r.Complete(examples)
		require.NoError(t, err, "the examples of %s are valid", r.Name)
		require.Len(t, complete, len(r.Parameters))
		for _, c := range append(r.Commands(examples), r.Undo(examples)...) {
			require.NotContains(t, c, "%!", "%s: a format without its value", r.Name)
		}
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"br-netfilter-off", "bridge-subnet", "ca-install", "dhcp-accept", "dns-forwarder", "docker-data-root", "docker-mtu", "docker-user-accept", "firewall-forward-accept",
		"forward-accept", "ip-forward-no-drop", "ip-forward-on", "iptables-backend", "ipv4-only", "kvm-permission",
		"lxd-before-docker", "mtu-match", "nat-on", "proxy-on-bridge", "registry-mirror", "storage-driver", "user-mode-network",
	}, names)
}

func TestCommandsAreExact(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		parameters map[string]string
		commands   []string
		undo       []string
	}{
		{
			"docker-user-accept", map[string]string{"bridge": "lxdbr0"},
			[]string{"iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT", "iptables -I DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
			[]string{"iptables -D DOCKER-USER -i lxdbr0 -j ACCEPT", "iptables -D DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
		},
		{
			"docker-user-accept", map[string]string{"bridge": "a'; rm x", "family": "v6"},
			[]string{`ip6tables -I DOCKER-USER -i 'a'\''; rm x' -j ACCEPT`, `ip6tables -I DOCKER-USER -o 'a'\''; rm x' -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`},
			[]string{`ip6tables -D DOCKER-USER -i 'a'\''; rm x' -j ACCEPT`, `ip6tables -D DOCKER-USER -o 'a'\''; rm x' -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`},
		},
		{"ip-forward-on", nil, []string{"sysctl -w net.ipv4.ip_forward=1"}, []string{"sysctl -w net.ipv4.ip_forward=0"}},
		{"forward-accept", map[string]string{"family": "v6"}, []string{"ip6tables -P FORWARD ACCEPT"}, []string{"ip6tables -P FORWARD DROP"}},
		{
			"docker-mtu", map[string]string{"mtu": "1400"},
			[]string{"jq --argjson v 1400 '.mtu = $v' /etc/docker/daemon.json > /etc/docker/daemon.json.new && mv /etc/docker/daemon.json.new /etc/docker/daemon.json", "systemctl restart docker"},
			[]string{"# if the key was set before, give it its former value instead of deleting it",
				"jq 'del(.mtu)' /etc/docker/daemon.json > /etc/docker/daemon.json.new && mv /etc/docker/daemon.json.new /etc/docker/daemon.json", "systemctl restart docker"},
		},
		{
			"docker-data-root", map[string]string{"path": "/media/x/$(id)/it's", "file": "/d j"},
			[]string{`jq --arg v '/media/x/$(id)/it'\''s' '."data-root" = $v' '/d j' > '/d j'.new && mv '/d j'.new '/d j'`, "systemctl restart docker"},
			[]string{"# if the key was set before, give it its former value instead of deleting it",
				`jq 'del(."data-root")' '/d j' > '/d j'.new && mv '/d j'.new '/d j'`, "systemctl restart docker"},
		},
		{
			"registry-mirror", map[string]string{"url": "https://m.example/$(id)", "file": "/d"},
			[]string{`jq --arg v 'https://m.example/$(id)' '."registry-mirrors" = [$v] + (."registry-mirrors" // [])' /d > /d.new && mv /d.new /d`, "systemctl reload docker"},
			[]string{`jq --arg v 'https://m.example/$(id)' '."registry-mirrors" -= [$v] | if ."registry-mirrors" == [] then del(."registry-mirrors") else . end' /d > /d.new && mv /d.new /d`, "systemctl reload docker"},
		},
		{
			"firewall-forward-accept", map[string]string{"bridge": "br0", "table": "inet fw", "chain": "forward", "handle": "7"},
			[]string{"nft delete rule inet fw forward handle 7"},
			[]string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"},
		},
		{
			"firewall-forward-accept", map[string]string{"bridge": "br0\nreboot", "table": "inet $(id)", "chain": "forward", "handle": "7"},
			[]string{"nft -a list ruleset  # find the rule that drops what comes from BRIDGE, with its handle", "nft delete rule FAMILY TABLE CHAIN handle HANDLE"},
			[]string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"},
		},
		{
			"dhcp-accept", map[string]string{"bridge": "a; flush ruleset"},
			[]string{"nft -a list ruleset  # find each chain on the input hook that drops", "nft insert rule FAMILY TABLE CHAIN iifname BRIDGE udp dport 67 accept"},
			[]string{"nft delete rule FAMILY TABLE CHAIN handle HANDLE"},
		},
	} {
		r, err := catalogue.Find(test.name)
		require.NoError(t, err)
		require.Equal(t, test.commands, r.Commands(test.parameters))
		require.Equal(t, test.undo, r.Undo(test.parameters))
	}
	require.Equal(t, "iptables -I DOCKER-USER -i BRIDGE -j ACCEPT", catalogue.Named("docker-user-accept", nil).Commands[0])
}

func TestParametersAreChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		parameters map[string]string
		says       string
	}{
		{"docker-user-accept", nil, "needs bridge=lxdbr0, the bridge whose guests it is for: it takes bridge=lxdbr0 [family=v4]"},
		{"docker-user-accept", map[string]string{"bridge": "-j"}, "no interface's name"},
		{"docker-user-accept", map[string]string{"bridge": "a/b"}, "no interface's name"},
		{"docker-user-accept", map[string]string{"bridge": "sixteen-letters0"}, "no interface's name"},
		{"docker-user-accept", map[string]string{"bridge": "br0", "family": "v5"}, "one of v4, v6"},
		{"docker-user-accept", map[string]string{"bridge": "br0", "port": "1"}, `no parameter "port"`},
		{"lxd-before-docker", map[string]string{"a": "b"}, "it takes no parameters"},
		{"nat-on", map[string]string{"subnet": "10.77.0.1/24"}, "10.77.0.0/24"},
		{"bridge-subnet", map[string]string{"bridge": "br0", "address": "fd42::1/64"}, "10.78.0.1/24"},
		{"docker-mtu", map[string]string{"mtu": "575"}, "from 576 to 65535"},
		{"docker-mtu", map[string]string{"mtu": "1400", "file": "../x"}, "absolute path"},
		{"registry-mirror", map[string]string{"url": "ftp://x"}, "https://mirror.example"},
		{"registry-mirror", map[string]string{"url": "https://user:secret@x"}, "https://mirror.example"},
		{"dns-forwarder", map[string]string{"bridge": "br0", "server": "dns.example"}, "192.0.2.53"},
		{"ca-install", map[string]string{"certificate": "/c", "name": "../x"}, "letters, digits"},
		{"firewall-forward-accept", map[string]string{"bridge": "br0", "table": "filter"}, "inet filter"},
	} {
		r, err := catalogue.Find(test.name)
		require.NoError(t, err)
		_, err = r.Complete(test.parameters)
		require.ErrorContains(t, err, test.says, "%s %v", test.name, test.parameters)
	}
	_, err := catalogue.Find("nonsense")
	require.ErrorContains(t, err, "docker-user-accept")
}
