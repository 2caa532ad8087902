package trace_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// A rule that nobody thought of is named all the same, whatever hook, family,
// priority, depth and kind it has.
func TestTraceNamesRandomRules(t *testing.T) {
	if !isolated(t) {
		return
	}
	r, rules := observetest.Random(t, 24)
	l := newLab(t, true)
	for i := range rules {
		sysctl(t, "net/bridge/bridge-nf-call-iptables", strconv.Itoa(r.IntN(2)))
		k := drawn(r)
		t.Run(fmt.Sprintf("%d %s", i, k.name), func(t *testing.T) { k.check(t, l) })
		run(t, "flush ruleset", "nft", "-f", "-")
	}
}

// drawn is a random killer in the lab.
func drawn(r *rand.Rand) killer {
	k := observetest.Forwarded(r, observetest.Layout{Bridge: "br0", Port: "g0", Uplink: "u0", Site: upstreamIP, Site6: upstreamIP6, Guest: guestIP})
	outcome := trace.Dropped
	if k.Rejects {
		outcome = trace.Rejected
	}
	return killer{
		name: fmt.Sprint(strings.ReplaceAll(k.NFT, "\n", " "), k.IPTables), nft: k.NFT, iptables: k.IPTables, outcome: outcome,
		hook: ruleset.Hook(k.Hook), chain: k.Chain, policy: k.Policy, text: k.Text, six: k.Six, reply: k.Reply,
	}
}
