package facts

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"

	"github.com/coreos/go-iptables/iptables"

	"github.com/nestlab/nestlab/model"
)

// The backends of a forward chain.
const (
	backendNFT    = "iptables-nft"
	backendLegacy = "iptables-legacy"
	backendPlain  = "nftables"
)

// dockerUser is the chain that Docker leaves to the user.
const dockerUser = "DOCKER-USER"

// forwardName is the base chain of every iptables table on the forward hook.
const forwardName = "FORWARD"

// binaryOf is the program of a backend and family: never the plain "iptables",
// which is one or the other.
func binaryOf(backend, family string) (string, iptables.Protocol) {
	variant := backend[len("iptables"):]
	if family == "ip6" {
		return "ip6tables" + variant, iptables.ProtocolIPv6
	}
	return "iptables" + variant, iptables.ProtocolIPv4
}

// lister lists one chain of a table, as go-iptables does.
type lister interface {
	ListWithCounters(table, chain string) ([]string, error)
	ListChains(table string) ([]string, error)
}

// iptablesChain reads the FORWARD chain of a table and what is in reach of it.
// It returns exec.ErrNotFound where the backend's program is not installed.
func iptablesChain(ctx context.Context, backend, family, table string) (model.ForwardChain, error) {
	binary, protocol := binaryOf(backend, family)
	path, err := exec.LookPath(binary)
	if err != nil {
		return model.ForwardChain{}, fmt.Errorf("find %s: %w", binary, err)
	}
	// The wait for iptables' lock is the only one that could be long.
	ipt, err := iptables.New(iptables.Path(path), iptables.IPFamily(protocol), iptables.Timeout(1))
	if err != nil {
		return model.ForwardChain{}, fmt.Errorf("use %s: %w", binary, err)
	}
	chain := model.ForwardChain{Backend: backend, Family: family, Table: table, Chain: forwardName}
	if err := walk(ctx, ipt, &chain); err != nil {
		return chain, fmt.Errorf("list table %s with %s: %w", table, binary, err)
	}
	return chain, nil
}

// walk follows the jumps from the base chain, so that rules that no forwarded
// packet can meet are left out.
func walk(ctx context.Context, l lister, out *model.ForwardChain) error {
	chains, err := l.ListChains(out.Table)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	out.DockerUser = slices.Contains(chains, dockerUser)
	todo, seen := []string{out.Chain}, map[string]bool{out.Chain: true}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := todo[0]
		todo = todo[1:]
		lines, err := l.ListWithCounters(out.Table, name)
		if err != nil {
			return fmt.Errorf("list chain %s: %w", name, err)
		}
		listed, err := ParseListed(name, lines)
		if err != nil {
			return err
		}
		if name == out.Chain {
			out.Policy, out.Packets, out.Bytes = listed.Policy, listed.Packets, listed.Bytes
		}
		out.Drops = append(out.Drops, listed.Drops...)
		for _, jump := range listed.Jumps {
			// A target that is no chain is an extension, such as MASQUERADE.
			if !seen[jump] && slices.Contains(chains, jump) {
				seen[jump] = true
				todo = append(todo, jump)
			}
		}
	}
	return nil
}

func notInstalled(err error) bool { return errors.Is(err, exec.ErrNotFound) }
