package facts

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

const natTable = "nat"

// translatesSources says whether c is a base chain that translates what leaves, of IPv4.
func translatesSources(c *nftables.Chain) bool {
	return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookPostrouting && c.Type == nftables.ChainTypeNAT &&
		(c.Table.Family == nftables.TableFamilyIPv4 || c.Table.Family == nftables.TableFamilyINet)
}

// sourceNAT is how many rules in reach of those chains translate sources.
func (d *nftDump) sourceNAT() int {
	n, seen := 0, map[chainKey]bool{}
	var walk func(c *nftables.Chain)
	walk = func(c *nftables.Chain) {
		if seen[keyOf(c)] {
			return
		}
		seen[keyOf(c)] = true
		for _, r := range d.rules[keyOf(c)] {
			if slices.ContainsFunc(r.Exprs, isSourceNAT) {
				n++
			}
			for _, next := range d.targets(c.Table, r) {
				walk(next)
			}
		}
	}
	for _, c := range d.nats {
		walk(c)
	}
	return n
}

// isSourceNAT knows nftables' own statements, and iptables' targets.
func isSourceNAT(e expr.Any) bool {
	switch e := e.(type) {
	case *expr.Masq:
		return true
	case *expr.NAT:
		return e.Type == expr.NATTypeSourceNAT
	case *expr.Target:
		return e.Name == "MASQUERADE" || e.Name == "SNAT"
	}
	return false
}

// legacyNAT counts those of iptables-legacy.
func (g *gathering) legacyNAT() {
	if g.sourceNAT == nil {
		return
	}
	g.wg.Go(func() {
		n, err := countLegacyNAT()
		if err != nil {
			g.fail("the legacy table ip nat", err)
			g.uncounted()
			return
		}
		g.count(n)
	})
}

func countLegacyNAT() (int, error) {
	binary, protocol := binaryOf(backendLegacy, "ip")
	path, err := exec.LookPath(binary)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", binary, err)
	}
	ipt, err := iptables.New(iptables.Path(path), iptables.IPFamily(protocol), iptables.Timeout(1))
	if err != nil {
		return 0, fmt.Errorf("use %s: %w", binary, err)
	}
	chains, err := ipt.ListChains(natTable)
	if err != nil {
		return 0, fmt.Errorf("list the chains of table nat with %s: %w", binary, err)
	}
	n := 0
	for _, c := range chains {
		rules, err := ipt.List(natTable, c)
		if err != nil {
			return 0, fmt.Errorf("list chain %s of table nat with %s: %w", c, binary, err)
		}
		for _, r := range rules {
			words := strings.Fields(r)
			if i := slices.Index(words, "-j"); i >= 0 && i+1 < len(words) && (words[i+1] == "MASQUERADE" || words[i+1] == "SNAT") {
				n++
			}
		}
	}
	return n, nil
}

// count adds to the rules that translate sources, uncounted says that they are not known.
func (g *gathering) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sourceNAT != nil {
		*g.sourceNAT += n
	}
}

func (g *gathering) uncounted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sourceNAT = nil
}
