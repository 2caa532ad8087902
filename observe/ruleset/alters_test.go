package ruleset_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// What rules change of packets that go on is read, of nft and of iptables, and nothing
// is said of what they only look at.
func TestAlters(t *testing.T) {
	if !isolated(t) {
		return
	}
	run(t, `
		table inet x { chain pre { type filter hook prerouting priority raw;
			notrack
			ip ttl set 1
			ip6 hoplimit set 2
			ip ttl 1 drop
			ip dscp set 4
			meta mark set 5
			meta mark 5 accept
			ct zone set 7
			ip saddr set 192.0.2.1
		}; }
		table ip y { chain pre { type filter hook prerouting priority mangle; ip ttl set 64; ip protocol tcp notrack; ip id set 7; }; }
		table ip6 z { chain pre { type filter hook prerouting priority mangle; ip6 hoplimit set 64; ip6 hoplimit 64 drop; }; }
	`, "nft", "-f", "-")
	for _, words := range []string{"iptables-nft -t raw -A PREROUTING -i eth0 -j CT --notrack", "iptables-nft -t raw -A PREROUTING -j CT --zone 1", "iptables-nft -t mangle -A PREROUTING -j TTL --ttl-set 1"} {
		all := strings.Fields(words)
		run(t, "", all[0], all[1:]...)
	}
	v := read(t, ruleset.Options{})
	untracks, ttl := []ruleset.Alteration{ruleset.Untracks}, []ruleset.Alteration{ruleset.SetsTTL}
	zone, mark := []ruleset.Alteration{ruleset.SetsZone}, []ruleset.Alteration{ruleset.SetsMark}
	for _, test := range []struct {
		family       ruleset.Family
		table, chain string
		want         [][]ruleset.Alteration
	}{
		{ruleset.INet, "x", "pre", [][]ruleset.Alteration{untracks, ttl, ttl, nil, nil, mark, nil, zone, nil}},
		{ruleset.IP, "y", "pre", [][]ruleset.Alteration{ttl, untracks, nil}},
		{ruleset.IP6, "z", "pre", [][]ruleset.Alteration{ttl, nil}},
		{ruleset.IP, "raw", "PREROUTING", [][]ruleset.Alteration{untracks, zone}},
		{ruleset.IP, "mangle", "PREROUTING", [][]ruleset.Alteration{ttl}},
	} {
		var got [][]ruleset.Alteration
		for _, r := range chain(t, v, test.family, test.table, test.chain).Rules {
			got = append(got, r.Alters)
		}
		require.Equal(t, test.want, got, "%s %s", test.family, test.table)
	}
}

// A table that a process owns is listed with that process' name; its rules are not those
// of the table before.
func TestOwnedTablesKeepTheirRules(t *testing.T) {
	if !isolated(t) {
		return
	}
	run(t, `table ip first { chain prerouting { type nat hook prerouting priority dstnat; udp dport 53 redirect to :5300; }; }`, "nft", "-f", "-")
	// A trace's own table has chains of the same names.
	tracer, err := trace.Start(t.Context(), []observe.Flow{{Source: netip.MustParsePrefix("192.0.2.0/24")}}, trace.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tracer.Close()) })
	require.Contains(t, run(t, "", "nft", "list", "ruleset"), "# progname")
	v := read(t, ruleset.Options{Programs: true})
	require.Equal(t, "udp dport 53 redirect to :5300", chain(t, v, ruleset.IP, "first", "prerouting").Rules[0].Text)
}
