package remedy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-iptables/iptables"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/observe/legacy"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

const filter = "filter"

// variant is one of the programs: iptables-nft, ip6tables-legacy and so on.
type variant struct {
	Program string `json:"program"`
	V6      bool   `json:"v6,omitempty"`
}

// variantOf is the program for the rule set that a chain was seen in, never the
// plain iptables, which may write to the other one.
func variantOf(c model.ForwardChain) variant {
	if c.Family == "ip6" {
		return variant{"ip6" + strings.TrimPrefix(c.Backend, "ip"), true}
	}
	return variant{c.Backend, false}
}

// shortest is the plain program where that leads to the same rules, else the variant's own.
func (v variant) shortest(ctx context.Context) string {
	plain, kind, _ := strings.Cut(v.Program, "-")
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// iptables v1.8.9 (nf_tables); before 1.8 there was but one, and it says no more.
	version, err := exec.CommandContext(ctx, plain, "--version").Output()
	if err != nil || strings.Contains(string(version), "(nf_tables)") != (kind == catalogue.NFT) {
		return v.Program
	}
	return plain
}

func (v variant) open() (*iptables.IPTables, error) {
	path, err := exec.LookPath(v.Program)
	if err != nil {
		return nil, fmt.Errorf("find %s; install the package iptables: %w", v.Program, err)
	}
	protocol := iptables.ProtocolIPv4
	if v.V6 {
		protocol = iptables.ProtocolIPv6
	}
	tables, err := iptables.New(iptables.Path(path), iptables.IPFamily(protocol), iptables.Timeout(10))
	if err != nil {
		return nil, fmt.Errorf("use %s: %w", v.Program, err)
	}
	return tables, nil
}

// openTable opens the program for a table of iptables-legacy that the kernel has: it would make
// any other.
func (v variant) openTable(table string) (*iptables.IPTables, error) {
	there, err := v.legacyTable(table)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fmt.Errorf("this host has no table %s of %s (any more): diagnose again", table, v.Program)
	}
	return v.open()
}

// legacyTable reports whether the kernel has a table of iptables-legacy.
func (v variant) legacyTable(table string) (bool, error) {
	tables, err := legacy.Tables(map[bool]string{false: "ip", true: "ip6"}[v.V6])
	return slices.Contains(tables, table), err
}

// reads reports whether the program can list a chain: it is there, with the program's rules alone.
func (v variant) reads(chain, table string) (bool, error) {
	tables, err := v.open()
	if err != nil {
		return false, err
	}
	return tables.ChainExists(table, chain)
}

// family is ip or ip6, as facts have it.
func family(parameters map[string]string) string {
	if parameters["family"] == catalogue.V6 {
		return "ip6"
	}
	return "ip"
}

// chains reads the forward chains that fit.
func chains(ctx context.Context, fits func(model.ForwardChain) bool) ([]model.ForwardChain, error) {
	all, errs := facts.ForwardChains(ctx)
	all = slices.DeleteFunc(all, func(c model.ForwardChain) bool { return !fits(c) })
	if len(all) == 0 && len(errs) > 0 {
		return nil, fmt.Errorf("read the forward chains (root?): %s", strings.Join(errs, "; "))
	}
	return all, nil
}

// rule is a rule of nestlab's own, at the head of a chain if nothing else is said. Its
// comment tells it from an equal one of someone else.
type rule struct {
	variant
	Chain string   `json:"chain"`
	Words []string `json:"words"`
	// Table is empty for filter.
	Table string `json:"table,omitempty"`

	// index is the place that it takes, from 1, and last that it goes to the end.
	index int
	last  bool
}

func (r *rule) table() string { return cmp.Or(r.Table, filter) }

// tag marks the rules that nestlab inserts.
var tag = []string{"-m", "comment", "--comment", "nestlab"}

func (r *rule) String() string {
	return fmt.Sprintf("%s -t %s -I %s %s", r.Program, r.table(), r.Chain, strings.Join(r.Words, " "))
}
func (r *rule) lasts() bool  { return false }
func (r *rule) over() string { return "" }

func (r *rule) words() []string { return slices.Concat(tag, r.Words) }

func (r *rule) do(context.Context, func() error) error {
	tables, err := r.open()
	if err != nil {
		return err
	}
	if r.last {
		return tables.Append(r.table(), r.Chain, r.words()...)
	}
	return tables.Insert(r.table(), r.Chain, max(1, r.index), r.words()...)
}

func (r *rule) undo(ctx context.Context) error {
	there, err := r.in(ctx)
	if err != nil || !there {
		return err
	}
	tables, err := r.open()
	if err != nil {
		return err
	}
	return tables.DeleteIfExists(r.table(), r.Chain, r.words()...)
}

func (r *rule) in(ctx context.Context) (bool, error) {
	// Looking through iptables for a table that is gone would recreate it.
	there, err := r.tableThere(ctx)
	if err != nil || !there {
		return false, err
	}
	if has, err := r.reads(r.Chain, r.table()); err != nil || !has {
		return false, errors.Join(err, r.unreadable())
	}
	tables, err := r.open()
	if err != nil {
		return false, err
	}
	return tables.Exists(r.table(), r.Chain, r.words()...)
}

// unreadable is the error of a chain that is there all the same; nil where it is not.
func (r *rule) unreadable() error {
	if !strings.HasSuffix(r.Program, "-"+catalogue.NFT) {
		return nil
	}
	family := ruleset.IP
	if r.V6 {
		family = ruleset.IP6
	}
	i := inserted{Family: familyNumbers[family], Table: r.table(), Chain: r.Chain}
	there, err := i.chainThere()
	if err != nil || !there {
		return err
	}
	return fmt.Errorf("%s cannot read the chain %s, which has a rule of another program: `nft -a list chain %s %s %s` lists them; delete that one, or this one, and try again",
		r.Program, r.Chain, family, r.table(), r.Chain)
}

// tableThere reports whether the rule's table is there.
func (r *rule) tableThere(ctx context.Context) (bool, error) {
	if r.Table == "" {
		there, err := chains(ctx, func(c model.ForwardChain) bool { return variantOf(c) == r.variant && c.Table == filter })
		return len(there) > 0, err
	}
	if strings.HasSuffix(r.Program, "-"+catalogue.Legacy) {
		return r.legacyTable(r.Table)
	}
	tables, err := ruleset.Tables()
	return slices.ContainsFunc(tables, func(t ruleset.Table) bool {
		return t.Name == r.Table && (t.Family == ruleset.IP6) == r.V6 && (t.Family == ruleset.IP || t.Family == ruleset.IP6)
	}), err
}

// ErrNoDockerUser is of a host without the chain that Docker leaves to its user.
var ErrNoDockerUser = errors.New("there is no chain DOCKER-USER")

func planDockerUser(ctx context.Context, parameters map[string]string) ([]record, error) {
	found, err := chains(ctx, func(c model.ForwardChain) bool {
		return c.DockerUser && c.Table == filter && c.Family == family(parameters) && c.Backend != "nftables"
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w in family %s: dockerd with the iptables backend makes it; "+
			"is dockerd running, are iptables installed? With dockerd's nftables backend use %s", ErrNoDockerUser, family(parameters), catalogue.FirewallForwardAccept)
	}
	var out []record
	// A packet meets the rules of both programs: one set may be left from an earlier
	// dockerd, and which one is cannot be seen.
	for _, c := range found {
		for _, words := range catalogue.DockerUserRules(parameters["bridge"]) {
			out = append(out, record{Rule: &rule{variant: variantOf(c), Chain: "DOCKER-USER", Words: words}})
		}
	}
	return out, nil
}

// policy is that of the FORWARD chain.
type policy struct {
	variant
	Before string `json:"before"`
	After  string `json:"after"`
}

func (p *policy) String() string { return p.Program + " -P FORWARD " + p.After }
func (p *policy) lasts() bool    { return false }
func (p *policy) over() string   { return p.Program + " FORWARD" }

func (p *policy) set(to string) error {
	tables, err := p.open()
	if err != nil {
		return err
	}
	return tables.ChangePolicy(filter, "FORWARD", to)
}

func (p *policy) do(context.Context, func() error) error { return p.set(p.After) }

func (p *policy) undo(ctx context.Context) error {
	there, err := p.in(ctx)
	if err != nil || !there {
		return err
	}
	return p.set(p.Before)
}

func (p *policy) in(ctx context.Context) (bool, error) {
	now, err := chains(ctx, func(c model.ForwardChain) bool {
		return variantOf(c) == p.variant && c.Table == filter && c.Policy == p.After
	})
	return len(now) > 0, err
}

func planForwardAccept(ctx context.Context, parameters map[string]string) ([]record, error) {
	found, err := chains(ctx, func(c model.ForwardChain) bool {
		return c.Table == filter && c.Family == family(parameters) && c.Policy == "DROP" && c.Backend != "nftables"
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no iptables FORWARD chain of family %s has the policy DROP: %w; `nestlab facts --table` shows what there is", family(parameters), ErrNothing)
	}
	var out []record
	for _, c := range found {
		out = append(out, record{Policy: &policy{variantOf(c), "DROP", "ACCEPT"}})
	}
	return out, nil
}
