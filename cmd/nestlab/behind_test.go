package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// closed is how ufw leaves a host: what is not answered for is dropped in INPUT and FORWARD,
// of both families.
const closed = `-P INPUT DROP; -P FORWARD DROP; -N ufw-before-input; -N ufw-before-forward; -A INPUT -j ufw-before-input; -A FORWARD -j ufw-before-forward
-A ufw-before-input -i lo -j ACCEPT; -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP; -A ufw-before-input -p icmp -j ACCEPT; -A ufw-before-input -p icmpv6 -j ACCEPT
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; -A ufw-before-forward -p icmp -j ACCEPT`

// A firewall that keeps guests from addresses, names and sites at once is several causes, one
// behind the other: each is proven, and what follows from one is told of none.
func TestDoctorProvesCausesBehindOthers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	for _, program := range []string{"iptables-nft", "ip6tables-nft"} {
		for line := range strings.FieldsFuncSeq(closed, func(r rune) bool { return r == ';' || r == '\n' }) {
			if other := map[string]string{"iptables-nft": " icmpv6 ", "ip6tables-nft": " icmp "}; strings.Contains(line, other[program]) {
				continue
			}
			h.run(program, strings.Fields(line)...)
		}
	}
	before := h.state()
	run, code, said := h.examine()
	require.Equal(t, exitBad, code, said)
	places := map[string][]string{}
	for _, f := range append([]model.Finding{run.Diagnosis.Finding}, run.Diagnosis.Further...) {
		require.Equal(t, model.Proven, f.Confidence, "%s in %v: %v\n%s", f.Cause, f.Environments, f.Proof, said)
		places[f.Cause] = append(places[f.Cause], f.Environments...)
	}
	require.Subset(t, places["firewall-forward-drop"], []string{"bridge br0", "bridge docker0", "bridge virbr0"})
	require.Equal(t, []string{"bridge virbr0"}, places["dhcp-blocked"])
	require.Contains(t, places["dns-blocked"], "bridge br0")
	require.Len(t, places, 3, "%v", places)
	require.Empty(t, differ(before, h.state()))
	var headline strings.Builder
	require.NoError(t, report.Headline(&headline, run))
	require.Equal(t, 1, strings.Count(headline.String(), "(firewall-forward-drop, proven)"), headline.String())
}
