// Package catalogue describes the known remedies: what each does, how much it
// opens, what it costs, and the commands that do the same by hand. It is pure,
// so that a diagnosis can name a remedy; package remedy carries them out.
package catalogue

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Breadth is how much a remedy touches.
type Breadth int

// The breadths, the narrowest first.
const (
	OneGuest  Breadth = iota // the guest alone
	OneBridge                // what is behind one bridge or interface
	OneDaemon                // one daemon and what it runs
	Runner                   // the whole runner
)

// String is the breadth as tables show it.
func (b Breadth) String() string {
	switch b {
	case OneGuest:
		return "one guest"
	case OneBridge:
		return "one bridge"
	case OneDaemon:
		return "one daemon"
	}
	return "the runner"
}

// Restart names what has to restart before a change shows.
type Restart string

// What may have to restart.
const (
	RestartDocker Restart = "docker" // dockerd, which reads its configuration then
	RestartGuests Restart = "guests" // the guests, which ask for their addresses then
)

// RestartsOf is what has to restart for a remedy; empty of an unknown one.
func RestartsOf(r model.Remedy) Restart {
	if known, err := Find(r.Name); err == nil {
		return known.Restarts
	}
	return ""
}

// GoesAround reports whether a remedy leads around what is wrong.
func GoesAround(r model.Remedy) bool {
	known, err := Find(r.Name)
	return err == nil && known.Around
}

// Remedy is one known remedy.
type Remedy struct {
	Name string
	// About says in one line what it changes.
	About   string
	Breadth Breadth
	// Opens says what is allowed afterwards that was not before.
	Opens string
	// Cost is what it takes away or breaks, and whether it is persistent.
	Cost string
	// Precondition is what has to be so before it can be applied.
	Precondition string
	// Then is what is left to do after it was applied, and ThenBack after it was
	// reverted; empty for nothing.
	Then, ThenBack string
	// Restarts is what takes notice of the change, and of its way back, only when
	// it restarts; empty where the change works at once.
	Restarts Restart
	// Around says that what fails goes another way with it, or is not tried any more: it
	// helps, and shows nothing about what is wrong with the way.
	Around bool
	// ByHand says that nestlab only prints what to do.
	ByHand     bool
	Parameters []Parameter

	commands, undo func(p values) []string
}

// Names lists the remedies, the narrowest first.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name)
	}
	return names
}

// All lists the remedies, the narrowest first.
func All() []Remedy {
	all := slices.Concat(forwarding(), network(), docker(), machine())
	slices.SortStableFunc(all, func(a, b Remedy) int { return int(a.Breadth) - int(b.Breadth) })
	return all
}

// Find gives the remedy of a name.
func Find(name string) (Remedy, error) {
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
	}
	return Remedy{}, fmt.Errorf("unknown remedy %q: the known ones are %s", name, strings.Join(Names(), ", "))
}

// Named is the remedy with its parameters as a finding has it. Of an unknown
// name it has no commands.
func Named(name string, parameters map[string]string) model.Remedy {
	out := model.Remedy{Name: name, Parameters: parameters, Commands: []string{}}
	if r, err := Find(name); err == nil {
		out.Commands = r.Commands(parameters)
		out.Why = strings.TrimSpace(r.Opens + " " + r.Cost)
	}
	return out
}

// Commands do by hand what the remedy does. A parameter that is not given has
// its default, or stands in capitals for what is to be filled in.
func (r Remedy) Commands(parameters map[string]string) []string {
	return r.commands(r.values(parameters))
}

// Undo are the commands that take it back by hand.
func (r Remedy) Undo(parameters map[string]string) []string {
	return r.undo(r.values(parameters))
}

// Complete checks parameters and adds the defaults of those that are not given.
func (r Remedy) Complete(parameters map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		p, ok := r.parameter(name)
		if !ok {
			return nil, fmt.Errorf("the remedy %s has no parameter %q: it takes %s", r.Name, name, r.Usage())
		}
		if err := p.check(parameters[name]); err != nil {
			return nil, fmt.Errorf("the remedy %s: %s=%s: %w", r.Name, name, parameters[name], err)
		}
		out[name] = parameters[name]
	}
	for _, p := range r.Parameters {
		if _, given := out[p.Name]; given {
			continue
		}
		if p.Required {
			return nil, fmt.Errorf("the remedy %s needs %s=%s, %s: it takes %s", r.Name, p.Name, p.Example, p.About, r.Usage())
		}
		if p.Default != "" {
			out[p.Name] = p.Default
		}
	}
	return out, nil
}

// Usage is the parameters in one line; those in brackets may be left out.
func (r Remedy) Usage() string {
	if len(r.Parameters) == 0 {
		return "no parameters"
	}
	var words []string
	for _, p := range r.Parameters {
		word := p.Name + "=" + p.Example
		if !p.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (r Remedy) parameter(name string) (Parameter, bool) {
	i := slices.IndexFunc(r.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return r.Parameters[i], true
}

// values are parameters made safe to show in a command.
type values map[string]string

func (r Remedy) values(parameters map[string]string) values {
	out := values{}
	for _, p := range r.Parameters {
		switch given, ok := parameters[p.Name]; {
		case ok:
			out[p.Name] = Quote(given)
		case p.Default != "":
			out[p.Name] = p.Default
		case p.Required:
			out[p.Name] = strings.ToUpper(p.Name)
		}
	}
	return out
}

// plain is a value that needs no quotes; of any other the name stands in capitals,
// to be filled in with care. It is for where quotes do not help: a comment ends
// where the line does, and nft joins its words and reads them as its own language.
func (v values) plain(name string) string {
	if isPlain(v[name]) {
		return v[name]
	}
	return strings.ToUpper(name)
}

func isPlain(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-") == ""
}

// Quote makes a word that a shell takes as it is: whoever copies a command must
// not run what an interface's name says.
func Quote(s string) string {
	if s != "" && isPlain(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
