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
		"accept-before", "arp-answer", "arp-on", "br-netfilter-off", "bridge-address", "bridge-subnet", "ca-install", "conntrack-max", "conntrack-timeout", "dhcp-accept", "dns-forwarder", "docker-data-root", "docker-mtu", "docker-network-mtu", "docker-user-accept", "firewall-forward-accept",
		"forward-accept", "interface-forwarding-on", "ip-forward-no-drop", "ip-forward-on", "iptables-backend", "ipv4-only", "kvm-permission",
		"lxd-before-docker", "mtu-match", "nat-on", "neighbour-ask", "proxy-on-bridge", "registry-mirror", "route-by-main", "route-to-bridge", "rp-filter-loose", "storage-driver", "user-mode-network",
	}, names)
}

func TestCommandsAreExact(t *testing.T) {
	t.Parallel()
	for _, test := range commandsCases {
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
