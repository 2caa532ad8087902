package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/nestlab/nestlab/model"
)

// ForwardChains reads every chain that decides about forwarded packets, in all
// three rule sets of a kernel: iptables-nft, iptables-legacy and plain nftables,
// each chain once. It changes nothing, not even by making empty tables, and
// takes well under 100 ms. What could not be read is in the second value.
func ForwardChains(ctx context.Context) ([]model.ForwardChain, []string) {
	g := gather(ctx, false)
	return g.chains, g.errors
}

// gather reads all rule sets, with how many rules translate sources where that is asked for.
func gather(ctx context.Context, withNAT bool) *gathering {
	g := &gathering{}
	if withNAT {
		g.sourceNAT = new(int)
	}
	g.legacy(ctx)
	g.nftables(ctx)
	g.wg.Wait()
	slices.SortFunc(g.chains, func(a, b model.ForwardChain) int {
		return cmp.Or(cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Chain, b.Chain))
	})
	slices.Sort(g.errors)
	if g.chains == nil {
		g.chains = []model.ForwardChain{}
	}
	return g
}

type gathering struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	chains []model.ForwardChain
	errors []string
	// sourceNAT is nil where it is not counted, or could not be.
	sourceNAT *int
}

func (g *gathering) add(c model.ForwardChain) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.chains = append(g.chains, c)
}

func (g *gathering) fail(what string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errors = append(g.errors, fmt.Sprintf("read %s: %v", what, err))
}

// onForward are the iptables tables with a FORWARD chain.
var onForward = []string{"filter", "mangle", "security"}

// legacy reads the tables that the kernel says exist. Listing one that does not
// would make it, and packets would then pass through it.
func (g *gathering) legacy(ctx context.Context) {
	for family, path := range map[string]string{"ip": "/proc/thread-self/net/ip_tables_names", "ip6": "/proc/thread-self/net/ip6_tables_names"} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // this kernel has no legacy tables
		}
		if err != nil {
			g.fail("the legacy tables of family "+family, err)
			continue
		}
		for _, table := range strings.Fields(string(text)) {
			if table == natTable && family == "ip" {
				g.legacyNAT()
			}
			if !slices.Contains(onForward, table) {
				continue
			}
			g.wg.Go(func() {
				chain, err := iptablesChain(ctx, backendLegacy, family, table)
				if err != nil {
					g.fail("the legacy table "+family+" "+table, err)
					return
				}
				g.add(chain)
			})
		}
	}
}

// nftables reads the base chains of the kernel's nftables. Those that belong to
// iptables-nft are read through it, where it is installed: it alone shows their
// matches as one would type them, and the counters of their policy.
func (g *gathering) nftables(ctx context.Context) {
	dump, err := dumpNFT()
	if err != nil {
		g.fail("nftables", err)
		g.uncounted()
		return
	}
	g.count(dump.sourceNAT())
	for _, base := range dump.bases {
		family := familyName(base.Table.Family)
		if !ownedByIPTables(family, base.Table.Name, base.Name) {
			g.add(dump.forward(base))
			continue
		}
		g.wg.Go(func() {
			chain, err := iptablesChain(ctx, backendNFT, family, base.Table.Name)
			if err == nil {
				g.add(chain)
				return
			}
			if !notInstalled(err) {
				g.fail("the table "+family+" "+base.Table.Name+" with iptables-nft", err)
			}
			g.add(dump.forward(base))
		})
	}
}

// ownedByIPTables tells by the names that iptables-nft uses; no other program
// may use them.
func ownedByIPTables(family, table, chain string) bool {
	return (family == "ip" || family == "ip6") && slices.Contains(onForward, table) && chain == forwardName
}
