// Package accuracy measures how often the diagnosis is right: it breaks a
// simulated runner in known ways, has it looked at by what does not know, and
// compares. What was broken and what was named meet here alone.
package accuracy

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// DockerForwardDrop is the cause that the order docker-first brings by itself.
const DockerForwardDrop = "docker-forward-drop"

// Case is one way in which the runner is broken, or is not.
type Case struct {
	// Name is its order and its faults.
	Name  string     `json:"name"`
	Order spec.Order `json:"order"`
	// DockerFrom is the suite of Debian that the runner's Docker comes from; empty
	// for the Docker that is installed.
	DockerFrom spec.DockerSuite `json:"docker_from,omitempty"`
	// IPv6 says that the runner and its internet have IPv6 that works.
	IPv6 bool `json:"ipv6,omitempty"`
	// Faults are what is injected on purpose, Expect the causes to be named: the
	// faults, and what the order brings. None means healthy.
	Faults []string `json:"faults"`
	Expect []string `json:"expect"`
	// Suites are probed in Environments.
	Suites       []string `json:"suites"`
	Environments []string `json:"environments"`
	// Source is where the cause of a public case was established, or who made a blind one;
	// empty for ours. Of the causes in Expect one has to be named, and Killer besides.
	Source string          `json:"source,omitempty"`
	Killer *testbed.Killer `json:"killer,omitempty"`
}

// The kinds of cases.
const (
	Healthy = "healthy"
	Single  = "single"
	Pair    = "pair"
	Public  = "public"
	Blind   = "blind"
)

// Kind is one of them.
func (c Case) Kind() string {
	switch {
	case c.Source == "":
	case slices.ContainsFunc(c.Faults, func(f string) bool { return strings.HasPrefix(f, testbed.BlindPrefix) }):
		return Blind
	default:
		return Public
	}
	switch len(c.Expect) {
	case 0:
		return Healthy
	case 1:
		return Single
	}
	return Pair
}

// Cases lists them: healthy runs in both orders, each fault alone, and pairs.
func Cases() []Case {
	// Two: what is named by chance need not be named the first time.
	cases := []Case{healthy(spec.LXDFirst, "-1"), healthy(spec.LXDFirst, "-2")}
	docker := healthy(spec.DockerFirst, "")
	docker.Environments = unharmed.environments
	cases = append(cases, docker, healthy(spec.LXDFirst, "").in(guests), healthy(spec.LXDFirst, "").in(nested),
		newCase(spec.DockerFirst), newCase(spec.DockerFirst).in(bridged),
		// Where IPv6 works: nothing wrong, and IPv4 alone dead.
		healthy(spec.LXDFirst, "").withIPv6(), newCase(spec.DockerFirst).withIPv6())
	for _, f := range faults.All() {
		c := broken(f)
		if !slices.ContainsFunc(f.Affects, func(e string) bool { return slices.Contains(environments(), e) }) {
			c = c.in(machine) // of virtual machines alone
		}
		cases = append(cases, c)
	}
	cases = append(append(cases, elsewhere()...), otherOrder()...)
	return append(cases, pairs()...)
}

// broken is a fault alone, with the order that breaks nothing by itself.
func broken(f faults.Fault) Case {
	c := newCase(spec.LXDFirst, f.Name)
	c.Expect = []string{f.Named()}
	return c
}

// elsewhere are the faults alone once more, looked at from the other environments
// that they touch.
func elsewhere() []Case {
	var cases []Case
	for _, f := range faults.All() {
		touches := func(all ...string) bool {
			return !slices.ContainsFunc(all, func(e string) bool { return !slices.Contains(f.Affects, e) })
		}
		var from []variant
		if touches(model.EnvDind) {
			from = append(from, nested)
		}
		switch {
		case touches(model.EnvRunner, model.EnvQEMUBridge, model.EnvQEMUUser):
			from = append(from, guests)
		case touches(model.EnvQEMUBridge):
			from = append(from, bridged)
		}
		if touches(model.EnvLXDContainer) && !touches(model.EnvRunner) {
			from = append(from, standIn)
		}
		for _, v := range from {
			cases = append(cases, broken(f).in(v))
		}
	}
	return cases
}

// otherOrder are the faults with the other order of the daemons, looked at from where
// what that order brings by itself does no harm.
func otherOrder() []Case {
	var cases []Case
	for _, f := range faults.All() {
		from := unharmed
		switch {
		case slices.Contains(f.Affects, model.EnvContainer):
		case slices.Contains(f.Affects, model.EnvQEMUUser):
			from = machine
		default:
			continue // it is one of two things broken there: see pairs
		}
		c := newCase(spec.DockerFirst, f.Name).in(from)
		c.Expect = slices.Clone(c.Faults)
		cases = append(cases, c)
	}
	return cases
}

// pairs are faults on top of what the order docker-first brings, and others.
func pairs() []Case {
	var cases []Case
	for _, name := range []string{
		"firewall-forward-drop", "nat-off", "ip-forward-off", "upstream-blocks-guests", "dns-blocked",
		"registry-rate-limit", "apt-mirror-5xx", "tls-intercepted", "mtu-blackhole", "v6-no-route", "dhcp-blocked", "subnet-overlap",
	} {
		cases = append(cases, newCase(spec.DockerFirst, name))
	}
	for _, pair := range [][]string{
		{"nat-off", "apt-mirror-5xx"}, {"firewall-forward-drop", "registry-rate-limit"},
		{"tls-intercepted", "apt-mirror-5xx"}, {"upstream-blocks-guests", "registry-rate-limit"},
	} {
		cases = append(cases, newCase(spec.LXDFirst, pair...))
	}
	return append(cases, generations()...)
}

// generations are the later releases of Docker: the cause that each brings by
// itself, another one behind it, and nothing.
func generations() []Case {
	var cases []Case
	for _, suite := range []spec.DockerSuite{spec.Trixie, spec.Sid} {
		cases = append(cases,
			from(suite, healthy(spec.LXDFirst, "")), from(suite, newCase(spec.DockerFirst)),
			from(suite, newCase(spec.DockerFirst, "nat-off")))
	}
	return cases
}

// from has the case run with the Docker of a suite.
func from(suite spec.DockerSuite, c Case) Case {
	before, broken, more := strings.Cut(c.Name, "+")
	c.DockerFrom, c.Name = suite, before+"@"+string(suite)
	if more {
		c.Name += "+" + broken
	}
	return c
}

// environments are the control and one guest of each daemon: quick to start, and
// enough to tell the causes apart.
func environments() []string {
	return []string{model.EnvRunner, model.EnvContainer, model.EnvLXDContainer}
}

// variant is another set of environments that a case can be looked at from.
type variant struct {
	name         string
	environments []string
	suites       []string
}

var (
	nested  = variant{"dind", []string{model.EnvRunner, model.EnvContainer, model.EnvDind, model.EnvDindInner}, nil}
	bridged = variant{"qemu-bridge", []string{model.EnvRunner, model.EnvQEMUBridge}, []string{model.SuiteMachines}}
	// unharmed does not notice docker-forward-drop.
	unharmed = variant{"container", []string{model.EnvRunner, model.EnvContainer}, nil}
	machine  = variant{"qemu-user", []string{model.EnvRunner, model.EnvQEMUUser}, []string{model.SuiteMachines}}
	standIn  = variant{"bridge", []string{model.EnvRunner, model.EnvBridge}, nil}
	guests   = variant{"qemu", []string{model.EnvRunner, model.EnvQEMUBridge, model.EnvQEMUUser}, []string{model.SuiteMachines}}
)

// in is the case, looked at from other environments.
func (c Case) in(v variant) Case {
	c.Name, c.Environments = c.Name+"@"+v.name, v.environments
	c.Suites = append(slices.Clone(c.Suites), v.suites...)
	return c
}

// withIPv6 is the case in a runner whose IPv6 works.
func (c Case) withIPv6() Case {
	c.Name, c.IPv6 = c.Name+"@ipv6", true
	return c
}

// healthy is a case in which nothing is to be named.
func healthy(order spec.Order, variant string) Case {
	c := newCase(order)
	c.Name, c.Expect = Healthy+"-"+string(order)+variant, []string{}
	return c
}

func newCase(order spec.Order, broken ...string) Case {
	c := Case{
		Order: order, Faults: append([]string{}, broken...), Expect: append([]string{}, broken...),
		Suites: model.Suites(), Environments: environments(),
	}
	if order == spec.DockerFirst && !slices.Contains(broken, DockerForwardDrop) {
		c.Expect = append([]string{DockerForwardDrop}, c.Expect...)
	}
	c.Name = strings.Join(append([]string{string(order)}, broken...), "+")
	return c
}

// Select keeps the cases that are asked for.
func Select(a spec.Accuracy) ([]Case, error) {
	names, err := a.Selected()
	if err != nil {
		return nil, err
	}
	all, err := CasesOf(a.Runner)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Case) bool { return !slices.Contains(names, c.Name) }), nil
}
