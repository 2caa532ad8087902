package remedy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Persistent is where the command keeps what is to be applied again.
const Persistent = "/var/lib/nestlab/persistent.json"

// persistentSchema names that file's form.
const persistentSchema = "nestlab.persistent/v1"

// persistent is what is to be applied again whenever it is gone.
type persistent struct {
	Schema   string          `json:"schema"`
	Remedies []lastingRemedy `json:"remedies"`
}

// lastingRemedy is one of them.
type lastingRemedy struct {
	Remedy model.Remedy `json:"remedy"`
	// Rule is the text of the rule that the remedy names by its handle, which is another
	// one whenever the rule is written again.
	Rule string `json:"rule,omitempty"`
}

func (p persistent) find(r model.Remedy) int {
	return slices.IndexFunc(p.Remedies, func(k lastingRemedy) bool { return k.Remedy.Equal(r) })
}

// readPersistent gives what a file names; nothing where it is not there.
func readPersistent(file string) (persistent, error) {
	text, err := readTrusted(file)
	if errors.Is(err, fs.ErrNotExist) {
		return persistent{Schema: persistentSchema}, nil
	}
	if err != nil {
		return persistent{}, fmt.Errorf("read which remedies are persistent: %w", err)
	}
	var p persistent
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&p); err == nil && p.Schema != persistentSchema {
		err = fmt.Errorf("its schema is %q, not %q", p.Schema, persistentSchema)
	}
	if err != nil {
		return persistent{}, fmt.Errorf("read which remedies are persistent: %s is no list of this nestlab's: %w; remove it, and make them persistent again", file, err)
	}
	return p, nil
}

func (p persistent) write(file string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = replaceFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write which remedies are persistent: %w", err)
	}
	return nil
}

// Persist adds applied remedies to the list of those that Restore applies again. It leaves
// out, and returns, those that last by themselves, as what they change is in files.
func (h Host) Persist(ctx context.Context, file string, remedies ...model.Remedy) (lasting []model.Remedy, err error) {
	unlock, err := lockPersistent(ctx, file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	p, err := readPersistent(file)
	if err != nil {
		return nil, err
	}
	j, err := h.read()
	if err != nil {
		return nil, err
	}
	for _, r := range remedies {
		r = completed(r)
		i := j.find(r)
		if i < 0 {
			return nil, fmt.Errorf("make the remedy %s persistent: it is not applied; apply it first", Text(r))
		}
		last := func(s record) bool {
			step, err := s.step()
			return err == nil && step.lasts() // read has checked that there is one
		}
		switch {
		case !slices.ContainsFunc(j.Applied[i].Steps, func(s record) bool { return !last(s) }):
			lasting = append(lasting, r)
		case p.find(r) < 0:
			// The handle of a rule from before a restart is another rule's now.
			if _, whole, err := h.inPlace(ctx, r); err != nil || !whole {
				return nil, errors.Join(fmt.Errorf("make the remedy %s persistent: something has undone it; `nestlab remedy revert %s`, and diagnose again", Text(r), r.Name), err)
			}
			rule, err := ruleOf(ctx, r)
			if err != nil {
				return nil, err
			}
			p.Remedies = append(p.Remedies, lastingRemedy{Remedy: r, Rule: rule})
		}
	}
	return lasting, p.write(file)
}

// Persisted lists what Restore applies.
func Persisted(file string) (all []model.Remedy, err error) {
	p, err := readPersistent(file)
	for _, k := range p.Remedies {
		all = append(all, k.Remedy)
	}
	return all, err
}

// lockPersistent keeps the list and what is applied of it together: what is taken off is
// not applied again.
func lockPersistent(ctx context.Context, file string) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("lock which remedies are persistent%s: %w", asRoot(err), err)
	}
	return lockFile(ctx, file+".lock", appliedFor, "which remedies are persistent", "the service of persistent remedies is applying one right now; try again when it is done")
}

// appliedFor is how long one remedy may take to be applied.
const appliedFor = 30 * time.Second

// Unpersist takes remedies off the list, and says what is left on it.
func Unpersist(ctx context.Context, file string, remedies ...model.Remedy) (left []model.Remedy, err error) {
	unlock, err := lockPersistent(ctx, file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	p, err := readPersistent(file)
	if err != nil {
		return nil, err
	}
	before := len(p.Remedies)
	p.Remedies = slices.DeleteFunc(p.Remedies, func(k lastingRemedy) bool {
		return slices.ContainsFunc(remedies, k.Remedy.Equal)
	})
	if len(p.Remedies) < before {
		err = p.write(file)
	}
	for _, k := range p.Remedies {
		left = append(left, k.Remedy)
	}
	return left, err
}

// Restore applies those of the list again of which something is gone, and lists them.
// What cannot be applied does not keep the others.
func (h Host) Restore(ctx context.Context, file string) (restored []model.Remedy, err error) {
	p, err := readPersistent(file)
	if err != nil {
		return nil, err
	}
	for _, k := range p.Remedies {
		again, failed := h.restoreOne(ctx, file, k.Remedy)
		if failed != nil {
			err = errors.Join(err, failed)
		}
		if again != nil {
			restored = append(restored, *again)
		}
	}
	return restored, err
}

// restoreOne applies a remedy again, as it is to be done now, unless it is not on the list
// any more or nothing of it is gone.
func (h Host) restoreOne(ctx context.Context, file string, r model.Remedy) (again *model.Remedy, err error) {
	if journaled, whole, err := h.inPlace(ctx, r); err != nil || journaled && whole {
		return nil, err
	}
	unlock, err := lockPersistent(ctx, file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	p, err := readPersistent(file)
	i := p.find(r)
	if err != nil || i < 0 {
		return nil, err
	}
	if err := h.Revert(ctx, r); err != nil { // what is left of it
		return nil, err
	}
	now, err := p.Remedies[i].current(ctx)
	if err != nil {
		return nil, err
	}
	// Before it is applied: whoever reverts it finds it by this.
	if p.Remedies[i].Remedy = now; !now.Equal(r) {
		if err := p.write(file); err != nil {
			return nil, err
		}
	}
	if err := h.Apply(ctx, now); err != nil {
		if errors.Is(err, ErrNothing) {
			err = nil
		}
		return nil, err
	}
	return &now, nil
}

// Withdraw reverts those of the list, the last first, and leaves the list as it is.
func (h Host) Withdraw(ctx context.Context, file string) error {
	p, err := readPersistent(file)
	for _, k := range slices.Backward(p.Remedies) {
		err = errors.Join(err, h.Revert(ctx, k.Remedy))
	}
	return err
}

// ruleOf is the text of the rule that a remedy names by its handle.
func ruleOf(ctx context.Context, r model.Remedy) (string, error) {
	handle, err := strconv.ParseUint(r.Parameters["handle"], 10, 64)
	if r.Name != catalogue.AcceptBefore || err != nil {
		return "", nil
	}
	chain, err := chainOf(ctx, r)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(chain, func(x ruleset.Rule) bool { return x.Handle == handle })
	if i < 0 {
		return "", fmt.Errorf("make the remedy %s persistent: the rule with this handle is gone; diagnose again", Text(r))
	}
	return chain[i].Text, nil
}

// chainOf are the rules of the chain that a remedy names.
func chainOf(ctx context.Context, r model.Remedy) ([]ruleset.Rule, error) {
	family, table, _ := strings.Cut(r.Parameters["table"], " ")
	view, err := ruleset.Read(ctx, ruleset.Options{Programs: true})
	if err != nil {
		return nil, fmt.Errorf("read the rule set: %w", err)
	}
	c := view.Chain(ruleset.ChainID{Family: ruleset.Family(family), Table: table, Chain: r.Parameters["chain"]})
	if c == nil {
		return nil, fmt.Errorf("the remedy %s: there is no such chain", Text(r))
	}
	return c.Rules, nil
}

// current is the remedy for the rules as they are numbered now.
func (k lastingRemedy) current(ctx context.Context) (model.Remedy, error) {
	r := k.Remedy
	if r.Name == catalogue.FirewallForwardAccept { // it took the rule out, and finds it by the bridge
		r.Parameters = maps.Clone(r.Parameters)
		delete(r.Parameters, "handle")
		return catalogue.Named(r.Name, r.Parameters), nil
	}
	if k.Rule == "" {
		return r, nil
	}
	rules, err := chainOf(ctx, r)
	if err != nil {
		return r, err
	}
	i := slices.IndexFunc(rules, func(x ruleset.Rule) bool { return x.Text == k.Rule })
	if i < 0 {
		return r, fmt.Errorf("the remedy %s: the rule %q is not in its chain any more; `nestlab remedy revert %s` if that stays so", Text(r), k.Rule, r.Name)
	}
	r.Parameters = maps.Clone(r.Parameters)
	r.Parameters["handle"] = strconv.FormatUint(rules[i].Handle, 10)
	if _, given := r.Parameters["index"]; given {
		r.Parameters["index"] = strconv.Itoa(rules[i].Index + 1)
	}
	return catalogue.Named(r.Name, r.Parameters), nil
}
