package trace_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// randomRules is how many random killers the test makes; the variable
// NESTLAB_RANDOM_RULES has it make more, and NESTLAB_RANDOM_SEED those of a seed.
const randomRules = 24

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// A rule that nobody thought of is named all the same, whatever hook, family,
// priority, depth and kind it has.
func TestTraceNamesRandomRules(t *testing.T) {
	if !isolated(t) {
		return
	}
	seed := setting(t, "NESTLAB_RANDOM_SEED", uint64(time.Now().UnixNano()))
	t.Logf("NESTLAB_RANDOM_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	l := newLab(t, true)
	for i := range setting(t, "NESTLAB_RANDOM_RULES", randomRules) {
		sysctl(t, "net/bridge/bridge-nf-call-iptables", strconv.Itoa(r.IntN(2)))
		k := randomKiller(r)
		t.Run(fmt.Sprintf("%d %s", i, k.name), func(t *testing.T) { k.check(t, l) })
		run(t, "flush ruleset", "nft", "-f", "-")
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func randomKiller(r *rand.Rand) killer {
	if r.IntN(3) == 0 {
		return randomIPTables(r)
	}
	k := killer{reply: r.IntN(2) == 0, outcome: trace.Dropped}
	family := pick(r, "ip", "inet", "ip", "inet", "bridge", "netdev")
	hook, device := pick(r, ruleset.Prerouting, ruleset.Forward, ruleset.Postrouting), ""
	switch {
	case family == "bridge" && k.reply:
		hook = pick(r, ruleset.Output, ruleset.Postrouting)
	case family == "bridge":
		hook = pick(r, ruleset.Prerouting, ruleset.Input)
	case family == "netdev":
		hook = pick(r, ruleset.Ingress, ruleset.Egress)
		// br0 is no device that frames of its ports are handed to by a driver.
		device = " device " + map[bool]string{true: "u0", false: "g0"}[k.reply == (hook == ruleset.Ingress)]
	}
	k.hook, k.chain = hook, family+" t c"
	priority := r.IntN(4001) - 2000
	end := "policy accept;"
	port := map[bool]string{false: "tcp dport 80", true: "tcp sport 80"}[k.reply]
	match := pick(r, port, port, "ip "+map[bool]string{false: "daddr", true: "saddr"}[k.reply]+" 198.51.100.2", "meta l4proto tcp "+port, "")
	verdict := "drop"
	if family != "bridge" && family != "netdev" && hook == ruleset.Forward && r.IntN(3) == 0 {
		k.outcome = trace.Rejected
		verdict = pick(r, "reject", "reject with icmp host-prohibited", "reject with icmp admin-prohibited")
	}
	if match == "" && k.reply {
		match = port
	}
	k.text = strings.TrimSpace(match + " " + pick(r, "", "counter ") + verdict)
	// A request only: the answer to a connection that is there would be dropped too.
	if k.outcome == trace.Dropped && !k.reply && r.IntN(4) == 0 {
		end, k.policy, k.text = "policy drop;", true, ""
	}
	body, sub := k.text, ""
	if !k.policy && r.IntN(2) == 0 {
		k.chain = family + " t s"
		sub = "chain s {\n" + k.text + "\n}\n"
		body = pick(r, "jump s", "goto s", port+" jump s", "counter jump s")
	}
	decoy := pick(r, "", "tcp dport 81 drop\n", "ip saddr 192.0.2.9 drop\n", "counter\n")
	k.nft = fmt.Sprintf("table %s t {\n%schain c {\ntype filter hook %s%s priority %d; %s\n%s%s\n}\n}\n", family, sub, hook, device, priority, end, decoy, body)
	k.nft += pick(r, "", "table inet other { chain o { type filter hook forward priority -5; accept; }; }\n")
	k.name = strings.ReplaceAll(k.nft, "\n", " ")
	return k
}

func randomIPTables(r *rand.Rand) killer {
	k := killer{reply: r.IntN(2) == 0, outcome: trace.Dropped, hook: ruleset.Forward}
	table, chain := pick(r, "filter", "filter", "mangle", "raw", "security"), "FORWARD"
	switch {
	case table == "raw":
		chain, k.hook = "PREROUTING", ruleset.Prerouting
	case table == "mangle":
		chain = pick(r, "PREROUTING", "FORWARD", "POSTROUTING")
		k.hook = map[string]ruleset.Hook{"PREROUTING": ruleset.Prerouting, "FORWARD": ruleset.Forward, "POSTROUTING": ruleset.Postrouting}[chain]
	}
	add := func(words ...string) {
		k.iptables = append(k.iptables, append([]string{"iptables-nft", "-t", table}, words...))
	}
	k.chain = "ip " + table + " " + chain
	if !k.reply && r.IntN(4) == 0 {
		add("-P", chain, "DROP")
		k.policy = true
	} else {
		in := chain
		if r.IntN(2) == 0 {
			in = "SUB"
			add("-N", in)
			add("-A", chain, pick(r, "-j", "-g"), in)
		}
		k.chain = "ip " + table + " " + in
		target := "-j DROP"
		if table == "filter" && r.IntN(2) == 0 {
			k.outcome = trace.Rejected
			target = pick(r, "-j REJECT --reject-with icmp-port-unreachable", "-j REJECT --reject-with icmp-host-prohibited")
		}
		port := map[bool]string{false: "--dport 80", true: "--sport 80"}[k.reply]
		match := pick(r, "-p tcp -m tcp "+port, "-p tcp -m multiport "+port+"s,443", "-p tcp -m comment --comment x -m tcp "+port)
		match = strings.Replace(match, port+"s,443", strings.Replace(port, "port", "ports", 1)+",443", 1)
		k.text = fmt.Sprintf("-A %s %s %s", in, match, target)
		add(strings.Fields(k.text)...)
	}
	k.name = fmt.Sprint(k.iptables)
	return k
}
