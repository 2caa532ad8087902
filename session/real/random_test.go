package real

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// came is what a run came to.
type came string

const (
	proven  came = "proven"
	named   came = "named, not proven"
	missed  came = "undetermined"
	wrong   came = "wrong"
	nothing came = "nothing failed"
)

// A rule of a kind that nobody wrote code for is named with its text, and proven by the
// generic intervention; nothing else is.
func TestRandomRulesAreProven(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	r, rules := observetest.Random(t, 24)
	l := newLab(t)
	kinds, total := map[string]map[came]int{}, map[came]int{}
	for total[proven]+total[named]+total[missed]+total[wrong] < int(rules) {
		k, begin := l.draw(r), time.Now()
		l.apply(t, r, k)
		got := l.judge(t, k)
		l.clear(t)
		t.Logf("%4.1f s %s: %s", time.Since(begin).Seconds(), got, k.Kind)
		if got == nothing {
			t.Logf("  %s %v", strings.ReplaceAll(k.NFT, "\n", " "), k.IPTables)
		}
		if got == nothing {
			continue
		}
		if kinds[k.Kind] == nil {
			kinds[k.Kind] = map[came]int{}
		}
		kinds[k.Kind][got]++
		total[got]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%-40s %v", kind, kinds[kind])
	}
	t.Logf("all: %v", total)
	require.Zero(t, total[wrong])
	// 195 of 200, and all but one of fewer.
	require.LessOrEqual(t, total[named]+total[missed], (int(rules)+39)/40)
}

// draw draws what kills something, and how the guest resolves names.
func (l *lab) draw(r *rand.Rand) observetest.Killer {
	at := observetest.Here()
	l.resolver = observetest.Pick(r, observetest.Gateway, observetest.Gateway, observetest.Gateway6)
	k := observetest.Pick(r, func() observetest.Killer { return observetest.Forwarded(r, at) }, func() observetest.Killer { return observetest.Forwarded(r, at) },
		func() observetest.Killer { return observetest.Served(r, at, l.resolver.String()) },
		func() observetest.Killer { return observetest.Own(r, at) },
		func() observetest.Killer { return observetest.Redirecting(r, at, l.resolver.String()) },
		func() observetest.Killer { return observetest.Neighbouring(r, at) })()
	l.strangers = k.Neighbours
	return k
}

// apply makes the killer, on a router that translates addresses, or not.
func (l *lab) apply(t *testing.T, r *rand.Rand, k observetest.Killer) {
	t.Helper()
	// Translations that are left are in the way of connections of the router's own.
	require.NoError(t, netlink.ConntrackTableFlush(netlink.ConntrackTable))
	l.Router.Do(t, func() {
		set(t, "net/bridge/bridge-nf-call-iptables", fmt.Sprint(r.IntN(2)))
		set(t, "net/bridge/bridge-nf-call-ip6tables", fmt.Sprint(r.IntN(2)))
	})
	if r.IntN(2) == 0 {
		nft(t, fmt.Sprintf("table inet nat { chain post { type nat hook postrouting priority srcnat; oifname %s masquerade; }; }", observetest.Uplink))
	}
	if k.NFT != "" {
		nft(t, k.NFT)
	}
	for _, words := range k.IPTables {
		command(t, "", words[0], words[1:]...)
	}
}

// judge has the lab diagnosed, and compares that with the killer.
func (l *lab) judge(t *testing.T, k observetest.Killer) came {
	t.Helper()
	before := ruleset(t)
	run, progress := l.run(t)
	require.Equal(t, before, ruleset(t), "the rules are not as they were")
	d := run.Diagnosis
	got := missed
	switch {
	case d.Verdict == model.Healthy:
		return nothing
	case d.Verdict == model.CauseFound:
		got = named
		for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
			if !names(f, k) {
				got = wrong
			}
		}
		if got == named && d.Confidence == model.Proven {
			return proven
		}
	}
	t.Logf("%+v\n%s\n%s\n%s", k, command(t, "", "nft", "list", "ruleset"), progress, told(run))
	return got
}

// names reports whether a finding is about the killer.
func names(f model.Finding, k observetest.Killer) bool {
	return slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool {
		return e.Loss != nil && slices.ContainsFunc(e.Loss.Drops, func(d model.Drop) bool {
			return d.Family+" "+d.Table+" "+d.Chain == k.Chain && d.Hook == k.Hook && d.Reject == k.Rejects && (d.Redirect != "") == k.Redirects &&
				observetest.Plain(d.Rule) == observetest.Plain(k.Text)
		})
	})
}

// told is what a run saw and said, for who looks why it was wrong.
func told(run model.Run) string {
	var b strings.Builder
	for _, r := range run.Results {
		if r.Outcome != model.Skip {
			fmt.Fprintf(&b, "%s %s %s %s: %s %s %v\n", r.Round, r.Place, r.Probe, r.Target, r.Outcome, r.Reason, r.Detail.Dials)
		}
	}
	for _, w := range run.Watches {
		for _, s := range w.Sightings.Drops {
			fmt.Fprintf(&b, "%s %s: reply=%v %s rule=%+v kernel=%+v in=%s out=%s %d %v\n", w.Round, w.Place, s.Reply, s.Fate, s.Rule, s.Kernel, s.In, s.Out, s.Packets, s.Flows)
		}
		fmt.Fprintf(&b, "%s %s: missing %q\n", w.Round, w.Place, w.Sightings.Missing)
	}
	for _, f := range append([]model.Finding{run.Diagnosis.Finding}, run.Diagnosis.Further...) {
		fmt.Fprintf(&b, "FINDING %s %s remedy=%+v\n", f.Cause, f.Confidence, f.Remedy)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "   %s\n", e.Text)
		}
		if f.Proof != nil {
			fmt.Fprintf(&b, "   PROOF %s\n", f.Proof.Text)
		}
	}
	fmt.Fprintf(&b, "%s\nruled out: %+v\nnotes: %q\n", run.Diagnosis.Summary, run.Diagnosis.RuledOut, run.Notes)
	return b.String()
}
