package follow

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/observe/ruleset"
)

// owners are whose rules tables and chains are, by how their programs name them: the
// first that fits. They are data; nothing else knows a program by its rules.
var owners = []struct {
	owner string
	// table is the table's name, chains begin the names of chains of the program, of
	// which one is enough; empty for any. comment is in the rule's or the table's.
	table, chains, comment string
	// policies says that the program sets those of chains that all share.
	policies bool
}{
	{owner: "ufw", chains: "ufw", policies: true},
	{owner: "firewalld", table: "firewalld"},
	{owner: "Docker", table: "docker-bridges"},
	{owner: "LXD", table: "lxd"},
	{owner: "Incus", table: "incus"},
	{owner: "libvirt", table: "libvirt_network"},
	{owner: "netavark", table: "netavark"},
	{owner: "kube-proxy", table: "kube-proxy"},
	{owner: "fail2ban", chains: "f2b-"},
	{owner: "Tailscale", chains: "ts-"},
	{owner: "kube-proxy", chains: "KUBE-"},
	{owner: "netavark", chains: "NETAVARK"},
	{owner: "libvirt", chains: "LIBVIRT_"},
	{owner: "CNI", chains: "CNI-"},
	{owner: "Docker", chains: "DOCKER", policies: true},
	{owner: "WireGuard", comment: "wg-quick"},
	{owner: "LXD", comment: "generated for LXD network"},
	{owner: "Incus", comment: "generated for Incus network"},
	{owner: "nestlab", comment: "nestlab"},
}

// ownerOf names whose a rule or policy is: by its own chain, table and comment; for a
// policy by the chains that the base chain leads to, of programs that set any.
func ownerOf(at ruleset.Location) string {
	for _, o := range owners {
		switch {
		case o.table != "":
			if at.Table != nil && at.Table.Name == o.table {
				return o.owner
			}
		case o.comment != "":
			if at.Rule != nil && strings.Contains(at.Rule.Comment, o.comment) || at.Table != nil && strings.Contains(at.Table.Comment, o.comment) {
				return o.owner
			}
		case strings.HasPrefix(at.Chain.Chain, o.chains):
			return o.owner
		}
	}
	if at.Rule != nil {
		return "" // a rule of its own in a chain that all share
	}
	for _, o := range owners {
		if o.policies && jumpsTo(at.Chain, o.chains) {
			return o.owner
		}
	}
	return ""
}

// jumpsTo reports whether a rule of the chain leads to one whose name begins so.
func jumpsTo(from *ruleset.Chain, prefix string) bool {
	return slices.ContainsFunc(from.Rules, func(r ruleset.Rule) bool {
		return slices.ContainsFunc(r.Verdicts, func(v ruleset.Verdict) bool { return strings.HasPrefix(v.Chain, prefix) })
	})
}
