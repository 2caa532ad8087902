package trace

import (
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// OwnTable is the name of the tracer's table in Assemble.
const OwnTable = "own"

// Assemble puts messages together; rule 1 of the table starts a trace on prerouting.
func Assemble(messages []*Message) []*Path {
	t := &table{name: OwnTable, starts: map[startKey]start{}}
	for _, f := range []ruleset.Family{ruleset.Bridge, ruleset.INet} {
		t.starts[startKey{f, 1}] = start{hook: ruleset.Prerouting, rank: rank(f, ruleset.Prerouting)}
	}
	a := newAssembler(t, []observe.Flow{{}}, &names{known: map[uint32]string{}}, Options{}.withDefaults())
	for _, m := range messages {
		a.add(m)
	}
	return a.paths
}

// Decode and OwnerOf are for fuzzing.
var Decode = decode

// WithoutOwner has the table made as before Linux 5.12.
func (o Options) WithoutOwner() Options {
	o.withoutOwner = true
	return o
}

// Hold keeps messages from being read until the returned function is called.
func (t *Tracer) Hold() (release func()) {
	t.mu.Lock()
	return t.mu.Unlock
}

// OwnerOf reads who made a table from its name.
func OwnerOf(table string) (pid int, ok bool) {
	o, ok := ownerOf(table)
	return o.pid, ok
}

// OutcomeOf tells the outcome of a path of which nothing was lost.
func OutcomeOf(p *Path) Outcome { return p.outcome(false) }
