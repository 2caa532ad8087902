package catalogue_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		parameters    map[string]string
		nft, iptables []string
	}{
		"a bridge with its answers": {map[string]string{"in": "br0", "answers": "yes"},
			[]string{`iifname "br0" accept`, `oifname "br0" ct state established,related accept`},
			[]string{"-i br0 -j ACCEPT", "-o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"}},
		"addresses with their answers": {map[string]string{"to": "198.51.100.2,2001:db8::2", "answers": "yes"},
			[]string{"ip daddr 198.51.100.2 accept", "ip6 daddr 2001:db8::2 accept", "ip saddr 198.51.100.2 accept", "ip6 saddr 2001:db8::2 accept"},
			[]string{"-d 198.51.100.2 -j ACCEPT", "-d 2001:db8::2 -j ACCEPT", "-s 198.51.100.2 -j ACCEPT", "-s 2001:db8::2 -j ACCEPT"}},
		"answers with their requests": {map[string]string{"from": "198.51.100.2", "answers": "yes"},
			[]string{"ip saddr 198.51.100.2 accept", "ip daddr 198.51.100.2 accept"}, []string{"-s 198.51.100.2 -j ACCEPT", "-d 198.51.100.2 -j ACCEPT"}},
		"types of ICMPv6": {map[string]string{"ports": "ipv6-icmp/135,arp", "in": "br0"},
			[]string{`iifname "br0" icmpv6 type 135 accept`, `iifname "br0" meta protocol arp accept`}, nil},
		"neighbours": {map[string]string{"table": "ip6 filter", "to": "2001:db8::2", "neighbours": "yes"},
			[]string{"ip6 daddr 2001:db8::2 accept", "icmpv6 type 135 accept", "icmpv6 type 136 accept"},
			[]string{"-d 2001:db8::2 -j ACCEPT", "-p ipv6-icmp --icmpv6-type 135 -j ACCEPT", "-p ipv6-icmp --icmpv6-type 136 -j ACCEPT"}},
		"neighbours of frames": {map[string]string{"table": "bridge t", "to": "198.51.100.2", "neighbours": "yes"},
			[]string{"ip daddr 198.51.100.2 accept", "icmpv6 type 135 accept", "icmpv6 type 136 accept", "meta protocol arp accept"}, nil},
	} {
		var nft, iptables []string
		for _, m := range catalogue.Matches(test.parameters) {
			nft, iptables = append(nft, m.NFT("inet")), append(iptables, strings.Join(m.IPTables(), " "))
		}
		require.Equal(t, test.nft, nft, name)
		if test.iptables != nil {
			require.Equal(t, test.iptables, iptables, name)
		}
	}
}
