package trace

import (
	"time"

	"github.com/nestlab/nestlab/observe/ruleset"
)

// Step is one thing that the rule set did with a packet.
type Step struct {
	// Hook is that of the base chain that the step is under; empty where the chain
	// was gone when the rule set was read.
	Hook ruleset.Hook `json:"hook,omitempty"`
	ruleset.ChainID
	Type Type `json:"type"`
	// Handle is that of the rule; 0 for a policy.
	Handle uint64 `json:"handle,omitempty"`
	// RuleText is the rule for people, in the words of TextSource. It is empty for
	// policies, and for a rule that was gone when the rule set was read.
	RuleText   string             `json:"rule,omitempty"`
	TextSource ruleset.TextSource `json:"text_source,omitempty"`
	// Verdict of a rule that answers what it drops is Reject; the kernel says drop.
	Verdict ruleset.Verdict `json:"verdict"`
	// Packet is as it came to a base chain; nil in steps further on in it.
	Packet *Packet `json:"packet,omitempty"`
}

// Pass is a point that the packet got to.
type Pass struct {
	Family ruleset.Family `json:"family"`
	Hook   ruleset.Hook   `json:"hook"`
	// End is set where the packet has passed all the hook's chains, and not set where
	// it has yet to meet them.
	End       bool       `json:"end"`
	Packet    Packet     `json:"packet"`
	In        *Interface `json:"in,omitempty"`
	Out       *Interface `json:"out,omitempty"`
	Mark      uint32     `json:"mark,omitempty"`
	Conntrack *Conntrack `json:"conntrack,omitempty"`
}

// Path is what the rule set did with one packet.
type Path struct {
	// Flow is the place of the packet's flow in Result.Flows; Reply is set on packets
	// to its source.
	Flow  int  `json:"flow"`
	Reply bool `json:"reply,omitempty"`
	// Ambiguous is set on a reply that ended before NAT was undone: it may be one to
	// another flow with the same destination.
	Ambiguous bool `json:"ambiguous,omitempty"`
	// Untranslated is set on a reply to what NAT had translated, which was not translated back.
	Untranslated bool `json:"untranslated,omitempty"`
	// IDs are the kernel's ids for the packet: one, or one more for a bridge on its way.
	IDs    []uint32  `json:"ids"`
	Seen   time.Time `json:"seen"`
	Passes []Pass    `json:"passes"`
	Steps  []Step    `json:"steps,omitempty"`
	// Omitted is how many steps before the last are left out.
	Omitted int     `json:"omitted,omitempty"`
	Outcome Outcome `json:"outcome"`

	rank  int
	ended bool
	now   *Packet // as it was seen last
	came  *Packet // of the next step
}

// First returns where the packet was seen first, as it was then.
func (p *Path) First() Pass { return p.Passes[0] }

// Last returns how far the packet was seen to get. With br_netfilter, IP's prerouting
// is inside the bridge's, and is further on the way than the end of the bridge's input.
func (p *Path) Last() Pass {
	i := len(p.Passes) - 1
	at := p.Passes[i]
	for ; i >= 0 && p.Passes[i].Family == ruleset.Bridge && (at.Hook == ruleset.Prerouting || at.Hook == ruleset.Input); i-- {
	}
	if i >= 0 && p.Passes[i].Hook == ruleset.Prerouting {
		return p.Passes[i]
	}
	return at
}

// By returns the step that ended the packet's way, nil where none did.
func (p *Path) By() *Step {
	switch p.Outcome {
	case Dropped, Rejected, Queued, Stolen:
		return &p.Steps[len(p.Steps)-1]
	}
	return nil
}

// Translated reports whether the packet's addresses or ports changed on its way.
func (p *Path) Translated() bool { return p.First().Packet.Tuple != p.Last().Packet.Tuple }

// Outcome is what became of a packet, as far as the rule set knows.
type Outcome string

// The outcomes.
const (
	// Dropped and Rejected packets ended by the path's last step.
	Dropped  Outcome = "dropped"
	Rejected Outcome = "rejected"
	// Queued packets were given to a program that did not give them back; Stolen ones
	// were taken over by a rule, such as a synproxy.
	Queued Outcome = "queued"
	Stolen Outcome = "stolen"
	// Delivered packets passed all chains on input: what listens decides.
	Delivered Outcome = "delivered"
	// Left packets passed all chains on postrouting. What comes after is no rule of
	// nf_tables but one on egress.
	Left Outcome = "left"
	// Unfinished packets passed what they met, and came to no end that is seen: the
	// kernel dropped them after the last pass, by routing, by a reverse path check or
	// by iptables-legacy, or they are on their way.
	Unfinished Outcome = "unfinished"
	// Unknown is an unfinished packet where messages of the trace were lost.
	Unknown Outcome = "unknown"
)

// there reports whether the packet came to the end of its way.
func (p *Path) there() bool {
	o := p.outcome(false)
	return o == Left || o == Delivered
}

// outcome tells by the last step, or else by the last pass. What a queue gave back goes on.
func (p *Path) outcome(lost bool) Outcome {
	at := p.Last()
	delivered := at.End && at.Hook == ruleset.Input && at.Family != ruleset.Bridge
	left := at.End && at.Hook == ruleset.Postrouting
	if n := len(p.Steps); n > 0 {
		step := p.Steps[n-1]
		switch step.Verdict.Kind {
		case ruleset.Drop:
			return Dropped
		case ruleset.Reject:
			return Rejected
		case ruleset.Queue:
			if !delivered && !left {
				return Queued
			}
		case ruleset.Stolen:
			return Stolen
		}
	}
	switch {
	case delivered:
		return Delivered
	case left, at.End && at.Family == ruleset.ARP:
		return Left
	case lost:
		return Unknown
	}
	return Unfinished
}
