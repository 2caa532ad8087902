package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// byHand is a step that a command of the machine can make and revert.
type byHand interface {
	// commands are those that make the change, and those that take it back. What
	// could not be read of the host stands in capitals, and the error says why.
	commands(ctx context.Context) (change, back []string, err error)
}

// lookWithin bounds the look at a host for what its commands name.
var lookWithin = 10 * time.Second

// lookups are the remedies whose commands name what is on the host: rules, addresses,
// former values.
func lookups() map[string]plan {
	return map[string]plan{
		catalogue.FirewallForwardAccept: findDrop, catalogue.DHCPAccept: planDHCPAccept, catalogue.AcceptBefore: planAcceptBefore,
		catalogue.RPFilterLoose: planRPFilter, catalogue.InterfaceForwardingOn: planInterfaceForwarding, catalogue.ConntrackMax: planConntrack,
		catalogue.ConntrackTimeout: planConntrackTimeout, catalogue.NeighbourAsk: planNeighbour, catalogue.ARPAnswer: planARPAnswer,
		catalogue.BridgeSubnet: planBridgeSubnet, catalogue.IPv4Only: planIPv4Only, catalogue.MTUMatch: planMTU,
		catalogue.DNSForwarder: planDNS, catalogue.ProxyOnBridge: planProxy,
	}
}

// variants are the remedies whose commands are the catalogue's, but for the program:
// plain iptables may lead to another rule set than the one that dockerd writes to.
func variants() map[string]plan {
	return map[string]plan{catalogue.DockerUserAccept: planDockerUser, catalogue.ForwardAccept: planForwardAccept}
}

// programsOf are the programs that reach what the steps change, each once.
func programsOf(ctx context.Context, steps []record) []string {
	var programs []string
	for _, s := range steps {
		var v variant
		switch {
		case s.Rule != nil:
			v = s.Rule.variant
		case s.Policy != nil:
			v = s.Policy.variant
		}
		if program := v.shortest(ctx); !slices.Contains(programs, program) {
			programs = append(programs, program)
		}
	}
	return programs
}

// withPrograms are commands with each of the programs in place of their own.
func withPrograms(commands, programs []string) []string {
	var out []string
	for _, program := range programs {
		for _, c := range commands {
			_, words, _ := strings.Cut(c, " ")
			out = append(out, program+" "+words)
		}
	}
	return out
}

// Commands do by hand on this host what Apply does, and undo reverts it. They
// name the rules that are there now. Where those cannot be read they are the
// catalogue's, with capitals for what is to be filled in; the error says why, and
// the commands are there all the same. Nothing is changed.
func (h Host) Commands(ctx context.Context, r model.Remedy) (commands, undo []string, err error) {
	known, err := catalogue.Find(r.Name)
	if err != nil {
		return nil, nil, err
	}
	commands, undo = known.Commands(r.Parameters), known.Undo(r.Parameters)
	look, depends := lookups()[r.Name]
	byVariant, varies := variants()[r.Name]
	if varies {
		look = byVariant
	}
	if !depends && !varies {
		return commands, undo, nil
	}
	parameters, err := known.Complete(r.Parameters)
	if err != nil {
		return commands, undo, err
	}
	// What does not answer is not to hold up what is known without it.
	looking, cancel := context.WithTimeoutCause(ctx, lookWithin, fmt.Errorf("it took more than %s", lookWithin))
	defer cancel()
	steps, err := look(looking, parameters)
	// A look that was cut off may have missed something.
	if err := errors.Join(err, context.Cause(looking)); err != nil {
		return commands, undo, fmt.Errorf("look at this host: %w", err)
	}
	if varies {
		programs := programsOf(ctx, steps)
		return withPrograms(commands, programs), withPrograms(undo, programs), nil
	}
	return stepCommands(ctx, steps, commands, undo)
}

// stepCommands are those of the steps. Where one has none they are the general ones.
func stepCommands(ctx context.Context, steps []record, commands, undo []string) ([]string, []string, error) {
	var here, back []string
	var incomplete error
	for _, s := range steps {
		if s.Table != nil { // the same on every host
			here, back = append(here, ofNFT(commands)...), append(ofNFT(undo), back...)
			continue
		}
		found, err := s.step()
		if err != nil {
			return commands, undo, err
		}
		there, is := found.(byHand)
		if !is {
			return commands, undo, fmt.Errorf("there are no commands for the %s", found)
		}
		do, undone, err := there.commands(ctx)
		if err != nil && len(do) == 0 {
			return commands, undo, err
		}
		here, back, incomplete = append(here, do...), append(undone, back...), errors.Join(incomplete, err)
	}
	return here, back, incomplete
}

// ofNFT are the commands that are nft's.
func ofNFT(commands []string) []string {
	return slices.DeleteFunc(slices.Clone(commands), func(c string) bool { return !strings.HasPrefix(c, "nft ") })
}

func (r *rule) commands(context.Context) (change, back []string, err error) {
	line := func(verb string, place ...string) []string {
		var words []string
		if r.Table != "" {
			words = []string{"-t", r.Table}
		}
		return []string{shellLine(r.Program, slices.Concat(words, []string{verb, r.Chain}, place, r.words())...)}
	}
	change = line("-I")
	switch {
	case r.last:
		change = line("-A")
	case r.index > 0:
		change = line("-I", strconv.Itoa(r.index))
	}
	return change, line("-D"), nil
}

// commands name the rule by what it is, and on the way back its place and counters.
func (r *removed) commands(context.Context) (change, back []string, err error) {
	words, err := Words(r.Line)
	if err != nil {
		return nil, nil, err
	}
	spec := words[2:] // less -A CHAIN
	insert := append([]string{"-t", r.Table, "-I", r.Chain, strconv.Itoa(r.Position)}, spec...)
	insert = append(insert, "-c", strconv.FormatUint(r.Packets, 10), strconv.FormatUint(r.Bytes, 10))
	return []string{shellLine(r.Program, append([]string{"-t", r.Table, "-D", r.Chain}, spec...)...)},
		[]string{shellLine(r.Program, insert...)}, nil
}

// shellLine is a program with its words, which a shell takes as they are.
func shellLine(program string, words ...string) string {
	out := []string{program}
	for _, w := range words {
		out = append(out, catalogue.Quote(w))
	}
	return strings.Join(out, " ")
}
