package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// innerPath is a container of a nested daemon whose connections are not answered, though
// the daemon's own environment gets answers: what is between the two is the cause.
type innerPath struct {
	inner, outer model.Place
	lost         []model.Result
	// answered are the outer environment's for the same.
	answered []model.Result
}

// innerPaths lists them. What is lost in the outer environment too is no matter of the
// nested daemon.
func (v *view) innerPaths() []innerPath {
	var all []innerPath
	for _, p := range v.places() {
		if p.Environment != model.EnvDindInner {
			continue
		}
		outer := p
		outer.Environment = model.EnvDind
		path := innerPath{inner: p, outer: outer}
		facts := v.facts(p)
		for _, r := range v.unexplained() {
			silent := slices.Contains([]model.Reason{model.ConnectTimeout, model.DNSTimeout, model.Unreachable, model.Refused, model.DNSRefused}, r.Reason)
			if r.Place != p || r.Outcome != model.Fail || !silent || !(tcpLike(r) || r.Probe == model.ProbeDNSA) || !outside(r, facts) || allIPv6(r) {
				continue
			}
			i := slices.IndexFunc(v.of(outer), func(o model.Result) bool { return asks(o) == asks(r) && passed(o) })
			if i < 0 {
				continue
			}
			path.lost, path.answered = append(path.lost, r), append(path.answered, v.of(outer)[i])
		}
		if len(path.lost) > 0 {
			all = append(all, path)
		}
	}
	return all
}

// onInner makes a hypothesis of a path, with what was read of the nested daemon's place.
func (v *view) onInner(cause string, path innerPath, read model.Evidence) Hypothesis {
	h := v.symptom(cause, path.lost, fmt.Sprintf("nothing answers in %s, and %s around it gets answers from the same", path.inner, path.outer))
	h.Finding.Evidence[0].Refs = append(slices.Clone(h.Finding.Evidence[0].Refs), refsOf(path.answered)...)
	h.Finding.Evidence = append([]model.Evidence{read}, h.Finding.Evidence...)
	return h
}

// innerNAT: the nested daemon's network is not translated where it leaves the daemon's
// place. Its packets come to the runner with their own addresses, or none of the rules
// that would translate them are there.
func (v *view) innerNAT() []Hypothesis {
	var all []Hypothesis
	for _, path := range v.innerPaths() {
		if f := v.facts(path.outer); f != nil && f.SourceNAT != nil && *f.SourceNAT == 0 {
			all = append(all, v.onInner(CauseDockerdIPTables, path, model.Evidence{Refs: []string{model.FactsRef(path.outer, factSourceNAT)},
				Text: fmt.Sprintf("no rule in %s translates addresses: the MASQUERADE of its dockerd is gone, or in a rule set that does not work there. "+
					"Start that dockerd again, in docker:dind with DOCKER_IPTABLES_LEGACY=1 if the kernel's NAT is legacy", path.outer)}))
			continue
		}
		w := v.watch(path.inner)
		if w == nil {
			continue
		}
		if uplink, ok := w.Uplink(); ok && uplink.Place.Out > 0 {
			loss := model.Loss{Point: model.PointUplink, Fate: model.NotTranslated, Kind: model.AnyPacket, Uplink: uplink.Interface}
			all = append(all, v.onInner(CauseDockerdIPTables, path, model.Evidence{Refs: []string{w.Ref()}, Loss: &loss, Text: fmt.Sprintf(
				"while %s was probed, %s left on the runner's uplink %s with its own address: the dockerd in %s does not translate them",
				path.inner, count(int(uplink.Place.Out), "packet"), uplink.Interface, path.outer)}))
		}
	}
	return all
}

// innerForwarding: the nested daemon's place does not forward.
func (v *view) innerForwarding() []Hypothesis {
	var all []Hypothesis
	for _, path := range v.innerPaths() {
		if f := v.facts(path.outer); f != nil && f.IPForward != nil && !*f.IPForward {
			all = append(all, v.onInner(CauseIPForwardOff, path, model.Evidence{Refs: []string{model.FactsRef(path.outer, factIPForward)},
				Text: fmt.Sprintf("ip_forward is off in %s", path.outer)}))
		}
	}
	return all
}

// innerFirewall: a chain of the nested daemon's place drops what its containers send.
func (v *view) innerFirewall() []Hypothesis {
	var all []Hypothesis
	for _, path := range v.innerPaths() {
		f := v.facts(path.outer)
		if f == nil {
			continue
		}
		for _, c := range f.Forward {
			if c.Family == "ip6" || c.Policy != "DROP" || c.DockerUser {
				continue
			}
			all = append(all, v.onInner(CauseFirewallForwardDrop, path, model.Evidence{Refs: []string{model.FactsRef(path.outer, factForward)},
				Text: fmt.Sprintf("the policy of the chain %s %s %s in %s is DROP", c.Family, c.Table, c.Chain, path.outer)}))
			break
		}
	}
	return all
}

// summarizeFirewall tells of a chain in a nested daemon's place where it is one.
func summarizeFirewall(v *view, f model.Finding) string {
	if slices.ContainsFunc(v.affected(f), func(p model.Place) bool { return p.Environment != model.EnvDindInner }) {
		return summarizeFirewallForwardDrop(v, f)
	}
	return Rule{means: "A chain in the nested daemon's own environment drops what its containers send: accept them there"}.summarize(v, f)
}

// matchNoResolver: a place was given no server to ask.
func matchNoResolver(v *view) []Hypothesis {
	untold := v.byForwarder(CauseNoResolver, titleNoServers, v.noServers)
	failed := filter(v.failedWith(model.NoResolver), func(r model.Result) bool { return !v.addressless(r.Place) }) // who gives the one gives the other
	if len(failed) == 0 {
		return untold
	}
	says := "/etc/resolv.conf names no server: on the runner, link it to the resolver's own " +
		"(ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf); for containers alone, set \"dns\" in /etc/docker/daemon.json"
	h := v.symptom(CauseNoResolver, failed, says)
	places := placesOf(failed)
	for _, p := range places {
		if f := v.facts(p); f != nil && len(f.Resolvers) > 0 {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{model.FactsRef(p, factResolvers)},
				Text: fmt.Sprintf("the resolv.conf of %s names a server", p)})
		}
	}
	if !slices.Contains(places, v.runner()) && len(v.resolving(v.runner())) > 0 {
		text := "names resolve on the runner"
		if f := v.facts(v.runner()); f != nil && len(f.Resolvers) == 0 {
			text += ", though its own resolv.conf names no server either: Docker 28 and later copy that, and no longer put 8.8.8.8 in"
		}
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(v.resolving(v.runner())), Text: text})
	}
	h.follow(filter(v.unexplained(), func(r model.Result) bool {
		return slices.Contains(places, r.Place) && slices.Contains(ofDocker, r.Probe) && r.Reason != model.DaemonDown
	}))
	return append(untold, h)
}
