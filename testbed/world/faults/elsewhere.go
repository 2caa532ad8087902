package faults

import (
	"context"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// elsewhere are rules on hooks that no cause of its own is about.
func elsewhere() []Fault {
	return []Fault{
		{
			Name: "raw-drop", About: "the runner drops connections of guests before it decides where they go",
			Affects: instances(), Cause: "dropped-by-rule", Break: breakRaw,
		},
		{
			Name: "answers-dropped", About: "the runner drops the answers to guests when it has forwarded them already",
			Affects: instances(), Cause: "dropped-by-rule", Break: breakAnswers,
		},
	}
}

// bridge is LXD's.
const bridge = "lxdbr0"

func tcp() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
	}
}

func breakRaw(_ context.Context, lab Lab) (Restore, error) {
	return ruleset{name: "site-early", chains: []ruleChain{{
		name: "early", hook: nftables.ChainHookPrerouting, priority: nftables.ChainPriorityRaw,
		rules: [][]expr.Any{rule(from(bridge), tcp(), drop())},
	}}}.put(lab.InRunner)
}

func breakAnswers(_ context.Context, lab Lab) (Restore, error) {
	return ruleset{name: "site-late", chains: []ruleChain{{
		name: "late", hook: nftables.ChainHookPostrouting, priority: nftables.ChainPriorityFilter,
		rules: [][]expr.Any{rule(to(bridge), tcp(), drop())},
	}}}.put(lab.InRunner)
}
