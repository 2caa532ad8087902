package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// assembler puts the messages of the trace together to paths.
type assembler struct {
	table    *table
	flows    []observe.Flow
	names    *names
	maxPaths int
	maxSteps int

	// open are the paths by the kernel's id; recent are paths in their order.
	open   map[uint32]*Path
	paths  []*Path
	counts counts
	err    error // of the first message that could not be decoded
}

// counts are of what the paths do not have.
type counts struct {
	Messages  uint64 // all that came in
	Omitted   uint64 // packets beyond the bound
	Foreign   uint64 // messages of packets that others trace
	Undecoded uint64
}

func newAssembler(t *table, flows []observe.Flow, n *names, o Options) *assembler {
	return &assembler{table: t, flows: flows, names: n, maxPaths: o.Paths, maxSteps: o.Steps, open: map[uint32]*Path{}}
}

func (a *assembler) undecoded(err error) {
	a.counts.Undecoded++
	if a.err == nil {
		a.err = err
	}
}

// add takes in one message.
func (a *assembler) add(m *Message) {
	a.counts.Messages++
	own := m.Table == a.table.name
	p := a.open[m.ID]
	if s, ok := a.table.starts[startKey{m.Family, m.Handle}]; ok && own && m.Type == OfRule {
		a.start(m, s, p)
		return
	}
	if m.Packet != nil && (p == nil || p.ended || !p.now.same(m.Packet)) {
		// The id changes where a bridge hands a packet on, and ids come again.
		if q := a.find(m, func(*Path) bool { return true }); q != nil {
			p = q
		} else if p != nil && p.there() {
			p = nil
			delete(a.open, m.ID)
		}
	}
	if p != nil && m.Packet != nil {
		p.now = m.Packet
	}
	switch {
	case p == nil:
		if a.counts.Omitted == 0 { // else it may be of a packet that was left out
			a.counts.Foreign++
		}
	case own:
		if m.Packet != nil {
			hook, end := strings.CutSuffix(m.Chain, endSuffix)
			if end {
				p.pass(a.names, m, ruleset.Hook(hook), true)
			}
		}
	case !p.ended:
		p.step(m, a.maxSteps)
	}
}

// start opens the path of a packet, or goes on with it at a later hook.
func (a *assembler) start(m *Message, s start, p *Path) {
	if m.Packet == nil {
		return // a second rule of a chain that started the trace already
	}
	if p == nil || p.ended || s.rank <= p.rank || !p.now.same(m.Packet) {
		p = a.find(m, func(q *Path) bool { return q.rank < s.rank && q.Flow == s.flow && q.Reply == s.reply })
	}
	if p == nil {
		if len(a.paths) >= a.maxPaths {
			a.counts.Omitted++
			delete(a.open, m.ID)
			return
		}
		p = &Path{Flow: s.flow, Reply: s.reply, IDs: []uint32{m.ID}, Seen: time.Now()}
		a.paths = append(a.paths, p)
		a.open[m.ID] = p
	}
	p.rank, p.now = s.rank, m.Packet
	p.pass(a.names, m, s.hook, false)
}

// joined bounds how long after its start a packet is looked for under another id,
// lookBack among how many, and maxIDs how many it can have: a bridge hands copies
// to its ports.
const (
	joined   = time.Second
	lookBack = 64
	maxIDs   = 8
)

// find returns the last path whose packet can be the message's, under another id.
func (a *assembler) find(m *Message, and func(*Path) bool) *Path {
	for i := len(a.paths) - 1; i >= max(0, len(a.paths)-lookBack); i-- {
		p := a.paths[i]
		known := slices.Contains(p.IDs, m.ID)
		if p.ended || len(p.IDs) == maxIDs && !known || time.Since(p.Seen) > joined || !p.now.same(m.Packet) || !and(p) {
			continue
		}
		if !known {
			p.IDs = append(p.IDs, m.ID)
		}
		a.open[m.ID] = p
		return p
	}
	return nil
}

func (p *Path) pass(names *names, m *Message, hook ruleset.Hook, end bool) {
	family := m.Family
	if family == ruleset.INet {
		family = ruleset.IP
		if m.Packet.Tuple.Source.Addr().Is6() {
			family = ruleset.IP6
		}
	}
	p.Passes = append(p.Passes, Pass{
		Family: family, Hook: hook, End: end, Packet: *m.Packet, In: names.name(m.In), Out: names.name(m.Out), Mark: m.Mark, Conntrack: m.Conntrack,
	})
}

// step adds what a rule or policy did. Beyond the bound the last step is replaced, as
// it is the one that tells.
func (p *Path) step(m *Message, most int) {
	if m.Type == OfRule && m.Handle == 0 {
		// The end of a chain's rules, which the kernel tells as a rule (Linux 5.17). It
		// has the packet where no rule of the base chain matched.
		p.came = m.Packet
		return
	}
	s := Step{
		ChainID: ruleset.ChainID{Family: m.Family, Table: m.Table, Chain: m.Chain},
		Type:    m.Type, Handle: m.Handle, Verdict: m.Verdict, Packet: cmp.Or(m.Packet, p.came),
	}
	p.came = nil
	if len(p.Steps) >= most {
		p.Steps = p.Steps[:most-1]
		p.Omitted++
	}
	p.Steps = append(p.Steps, s)
	p.ended = s.Verdict.Kind == ruleset.Drop || s.Verdict.Kind == ruleset.Stolen
}

// ofFlow reports whether a reply is one of a flow, and which: NAT is undone on the way,
// and then the destination tells. It is ambiguous while that was not seen.
func (a *assembler) ofFlow(p *Path) (flow int, yes, ambiguous bool) {
	if !p.Reply || p.First().Packet.ARP {
		return p.Flow, true, false
	}
	undone := false
	for _, at := range p.Passes {
		back := at.Packet.Tuple.Reverse()
		if a.flows[p.Flow].Matches(back) {
			return p.Flow, true, false
		}
		for i, f := range a.flows {
			// Of an interface alone every packet would be.
			if (f.Source.IsValid() || f.Destination.IsValid()) && f.Matches(back) {
				return i, true, false
			}
		}
		undone = undone || at.End && at.Family != ruleset.Bridge && at.Hook == ruleset.Prerouting
	}
	return p.Flow, !undone && p.ended, true
}

// sentAs are the packets of flows as they left, where NAT had changed that, by their answers.
func (a *assembler) sentAs() map[observe.Tuple]int {
	all := map[observe.Tuple]int{}
	for _, p := range a.paths {
		if p.Reply || len(p.Passes) == 0 || p.First().Packet.ARP {
			continue
		}
		if last := p.Passes[len(p.Passes)-1].Packet.Tuple; last.Source != p.First().Packet.Tuple.Source {
			all[last.Reverse()] = p.Flow
		}
	}
	return all
}

// undecodedError says what could not be decoded.
func (a *assembler) undecodedError() error {
	if a.err == nil {
		return nil
	}
	return fmt.Errorf("decode %d of %d trace messages, the first: %w", a.counts.Undecoded, a.counts.Messages, a.err)
}
