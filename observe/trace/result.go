package trace

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// Result is what was seen of the flows.
type Result struct {
	Flows []observe.Flow `json:"flows"`
	// Fates are the packets of each flow and direction by what became of them, the
	// most frequent first.
	Fates []Fate `json:"fates"`
	// Paths are the packets that Fates count.
	Paths []Path `json:"paths"`
	// View is the rule set at the end, by which rules are named.
	View *ruleset.View `json:"-"`
	// Omitted is how many traced packets are beyond the bound and counted nowhere.
	Omitted uint64 `json:"omitted,omitempty"`
	// Lost is how many messages the kernel had no room for: a path may lack steps.
	Lost uint32 `json:"lost,omitempty"`
	// Foreign is how many messages were of packets that somebody else traces.
	Foreign uint64 `json:"foreign,omitempty"`
	// Missing is what the trace cannot see here.
	Missing []observe.Unavailable `json:"missing,omitempty"`
}

// Fate is what became of packets of one flow and direction.
type Fate struct {
	Flow      int     `json:"flow"`
	Reply     bool    `json:"reply,omitempty"`
	ARP       bool    `json:"arp,omitempty"`
	Ambiguous bool    `json:"ambiguous,omitempty"`
	Outcome   Outcome `json:"outcome"`
	// By is the rule or policy that ended their way, without the packet; nil where
	// none did.
	By *Step `json:"by,omitempty"`
	// Last is how far the first of them got.
	Last    Pass `json:"last"`
	Packets int  `json:"packets"`
	// Example is the place of the first of them in Paths.
	Example int `json:"example"`
}

// fateKey is what packets of one fate have in common.
type fateKey struct {
	flow                  int
	reply, arp, ambiguous bool
	outcome               Outcome
	chain                 ruleset.ChainID
	handle                uint64
	family                ruleset.Family
	hook                  ruleset.Hook
	end                   bool
}

// Result returns what was seen until now; the trace goes on. It reads the rule set
// of the calling thread's network namespace for the rules' text.
func (t *Tracer) Result(ctx context.Context) (*Result, error) {
	drained := t.socket.drain(t.receive)
	lost, err := t.socket.missed()
	if err := errors.Join(drained, err); err != nil {
		return nil, err
	}
	view, err := ruleset.Read(ctx, ruleset.Options{Programs: true})
	if err != nil {
		return nil, fmt.Errorf("read the rules' text: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Result{
		Flows: t.flows, View: view, Paths: []Path{}, Fates: []Fate{}, Omitted: t.paths.counts.Omitted, Lost: lost, Foreign: t.paths.counts.Foreign,
		Missing: append(slices.Clone(t.missing), view.Missing...),
	}
	if lost > 0 {
		r.Missing = append(r.Missing, observe.Unavailable{
			Source: Source, Why: fmt.Sprintf("%d messages lost: packets came faster than they were read; lower the rate or narrow the flows", lost),
		})
	}
	sent := t.paths.sentAs()
	for _, p := range t.paths.paths {
		flow, yes, ambiguous := t.paths.ofFlow(p)
		untranslated := false
		if !yes && p.Reply {
			flow, untranslated = sent[p.First().Packet.Tuple]
		}
		if !yes && !untranslated {
			continue
		}
		p := clone(p)
		p.Flow, p.Ambiguous, p.Untranslated = flow, ambiguous && !untranslated, untranslated
		explain(&p, view)
		p.Outcome = p.outcome(lost > 0)
		r.Paths = append(r.Paths, p)
	}
	r.fold()
	return r, t.paths.undecodedError()
}

func clone(p *Path) Path {
	out := *p
	out.Steps, out.Passes, out.IDs = slices.Clone(p.Steps), slices.Clone(p.Passes), slices.Clone(p.IDs)
	return out
}

// explain fills in what the rule set knows of a path's steps: hooks, text, rejects.
func explain(p *Path, view *ruleset.View) {
	var hook ruleset.Hook
	for i := range p.Steps {
		s := &p.Steps[i]
		if c := view.Chain(s.ChainID); c != nil && c.Base != nil {
			hook = c.Base.Hook // what follows is under it until the next base chain
		}
		s.Hook = hook
		at, ok := view.Locate(s.Family, s.Table, s.Chain, s.Handle)
		if !ok || at.Rule == nil {
			continue
		}
		s.RuleText, s.TextSource = at.Rule.Text, at.Rule.Source
		if s.Verdict.Kind == ruleset.Drop && at.Rule.Rejects() {
			s.Verdict.Kind = ruleset.Reject
		}
	}
}

// fold counts the paths by what became of them.
func (r *Result) fold() {
	places := map[fateKey]int{}
	for i := range r.Paths {
		p := &r.Paths[i]
		last, by := p.Last(), p.By()
		key := fateKey{flow: p.Flow, reply: p.Reply, arp: last.Packet.ARP, ambiguous: p.Ambiguous, outcome: p.Outcome}
		if by != nil {
			key.chain, key.handle = by.ChainID, by.Handle
		} else {
			key.family, key.hook, key.end = last.Family, last.Hook, last.End
		}
		at, ok := places[key]
		if !ok {
			at = len(r.Fates)
			places[key] = at
			f := Fate{Flow: p.Flow, Reply: p.Reply, ARP: key.arp, Ambiguous: p.Ambiguous, Outcome: p.Outcome, Last: last, Example: i}
			if by != nil {
				step := *by
				step.Packet = nil
				f.By = &step
			}
			r.Fates = append(r.Fates, f)
		}
		r.Fates[at].Packets++
	}
	slices.SortStableFunc(r.Fates, func(a, b Fate) int { return b.Packets - a.Packets })
}
