package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// matchNamesDiffer: a name has another address for who asks as programs do than the resolver
// gives it, by /etc/hosts or by what the guests' own resolver was told.
func matchNamesDiffer(v *view) []Hypothesis {
	var all []told
	for _, p := range v.places() {
		all = append(all, v.fromHosts(p)...)
		all = append(all, v.withheld(p)...)
		all = append(all, v.elsewhere(p)...)
	}
	var merged []told
	for _, t := range all {
		merged = add(merged, t)
	}
	return v.tell(CauseNamesDiffer, merged)
}

// fromHosts are failures of a place with an address that a line of its /etc/hosts, or of the
// runner's that answers it, gives a name, and the resolver does not.
func (v *view) fromHosts(p model.Place) []told {
	var all []told
	of := []model.Place{p}
	if _, attached := v.attached(p); attached {
		of = append(of, v.runner())
	}
	for _, from := range of {
		facts := v.facts(from)
		if facts == nil {
			continue
		}
		for _, line := range facts.Hosts {
			a, err := netip.ParseAddr(line.Address)
			mine := filter(v.unexplained(), func(r model.Result) bool {
				return r.Place == p && r.Outcome.Bad() && err == nil && slices.Contains(line.Names, targetHost(r)) && v.lostTo(r, map[netip.AddrPort]bool{netip.AddrPortFrom(a, 0): true})
			})
			if len(mine) == 0 {
				continue
			}
			says, differs := v.resolved(from, targetHost(mine[0]), line.Address)
			if !differs {
				continue
			}
			all = append(all, told{results: mine, refs: []string{model.FactsRef(from, factHosts)},
				text: fmt.Sprintf("/etc/hosts of %s gives %s the address %s; %s", from, strings.Join(line.Names, " "), line.Address, says)})
		}
	}
	return all
}

// resolved is what the resolver of a place says of a name; differs where it does not give it
// that address.
func (v *view) resolved(from model.Place, name, address string) (says string, differs bool) {
	for _, r := range v.of(from) {
		given := strings.Fields(r.Detail.Values["addresses"])
		if r.Probe != model.ProbeDNSA || !passed(r) || r.Target != name || len(given) == 0 {
			continue
		}
		if slices.Contains(given, address) {
			return "", false
		}
		says = fmt.Sprintf("the resolver that %s asks gives it %s", r.Place, strings.Join(given, " "))
	}
	return says, says != ""
}

// withheld are names that do not exist for a place, and do for the runner, which asks another
// server.
func (v *view) withheld(p model.Place) []told {
	bridge, attached := v.attached(p)
	w := v.watch(p)
	if !attached {
		return nil
	}
	var t told
	for _, r := range v.unexplained() {
		c, known := v.control(r)
		if r.Place != p || r.Reason != model.DNSNXDomain && !v.declined(r) || !known || !passed(c) {
			continue
		}
		here, there := r.Detail.Values["resolver"], c.Detail.Values["resolver"]
		if here != "" && here == there {
			return nil
		}
		if t.text == "" && here != "" {
			says := fmt.Sprintf("says that %s does not exist", r.Target)
			if r.Reason != model.DNSNXDomain {
				says = fmt.Sprintf("answers %s when it is asked for %s", r.Detail.Values["rcode"], r.Target)
			}
			t.text = fmt.Sprintf("%s, which places behind %s ask, %s; %s, which the runner asks, gives it %s", here, bridge, says, there, c.Detail.Values["addresses"])
		}
		t.results = append(t.results, r)
	}
	if t.text == "" {
		return nil
	}
	names := hosts(t.results) // of which the addresses of IPv6 are left
	t.results = append(t.results, filter(v.unexplained(), func(r model.Result) bool {
		return r.Place == p && r.Reason == model.Unreachable && allIPv6(r) && slices.Contains(names, targetHost(r))
	})...)
	t.refs = refsOf(t.results)
	if w != nil && w.Sightings != nil {
		if options := v.servedBy(w.Sightings, bridge, portDNS, "bogus-nxdomain", "address", "local", "server", "ignore-address", "alias", "filter-A", "stop-dns-rebind", "no-resolv"); options != "" {
			t.text += "; " + options
		}
	}
	return []told{t}
}

// declined reports whether a result failed as who was asked for names answers that it will not
// or cannot, and that is not told better by what it asks itself.
func (v *view) declined(r model.Result) bool {
	if v.answers(r.Place) == nil || len(r.Detail.Dials) > 0 || r.Reason != model.DNSRefused && r.Reason != model.DNSServFail {
		return false
	}
	_, none := v.noServers(r.Place)
	_, silent := v.serversSilent(r.Place)
	return !none && !silent
}

// matchResolverSilent: who is asked first does not answer, and who is asked next does; or
// who answers guests gets no answers itself, or is not there; or guests ask somebody else.
func matchResolverSilent(v *view) []Hypothesis {
	var all []told
	for _, p := range v.places() {
		silent, answers, refs := v.silentFirst(p)
		mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && unnamed(r) && len(r.Detail.Dials) == 0 })
		if silent != "" && len(mine) > 0 {
			all = add(all, told{results: mine, refs: refs, text: fmt.Sprintf("%s, the first nameserver of /etc/resolv.conf, does not answer; %s behind it does: each name waits for the first one", silent, answers)})
		}
	}
	found := append(v.tell(CauseResolverSilent, all), v.byForwarder(CauseResolverSilent, titleServersSilent, v.serversSilent)...)
	found = append(found, v.byForwarder(CauseResolverSilent, titleResolverGone, v.resolverGone)...)
	for _, h := range v.tell(CauseResolverSilent, v.around(v.foreignResolver)) {
		h.Finding.Title = titleForeignResolver
		found = append(found, h)
	}
	found = append(found, v.byForwarder(CauseResolverSilent, titleTruncated, v.truncated)...)
	return append(found, v.byForwarder(CauseResolverSilent, titleNoAAAA, v.aaaaSilent)...)
}

// silentFirst is the resolver that a place asks first and in vain, each time that a later one
// answered.
func (v *view) silentFirst(p model.Place) (silent, answers string, refs []string) {
	for _, r := range v.of(p) {
		tried := strings.Fields(r.Detail.Values["tried"])
		if len(tried) < 2 || r.Outcome.Bad() {
			continue
		}
		first, said, _ := strings.Cut(tried[0], "=")
		at, err := netip.ParseAddrPort(first)
		next, errNext := netip.ParseAddrPort(r.Detail.Values["resolver"])
		if err != nil || errNext != nil || model.Reason(said) != model.DNSTimeout {
			return "", "", nil
		}
		silent, answers, refs = at.Addr().String(), next.Addr().String(), append(refs, r.Ref())
	}
	return silent, answers, refs
}

// fewPorts are too few for what a machine opens: each is taken for a minute after its end.
const fewPorts = 64

// matchLocalPorts: connections cannot be opened at once, as there are hardly any ports for them.
func matchLocalPorts(v *view) []Hypothesis {
	var all []told
	for _, p := range v.places() {
		text, few := v.fewLocalPorts(p)
		mine := filter(v.unexplained(), func(r model.Result) bool {
			served := p == v.runner() && unnamed(r) && v.servedByRunner(r.Place)
			return few && r.Probe != model.ProbeStart && r.Outcome.Bad() && slices.Contains(lostReasons, r.Reason) && (r.Place == p || served)
		})
		if len(mine) > 0 {
			all = append(all, told{results: mine, refs: []string{model.FactsRef(p, factLocalPorts)}, text: text})
		}
	}
	return v.tell(CauseLocalPorts, all)
}

// fewLocalPorts says that a place has hardly any ports for connections.
func (v *view) fewLocalPorts(p model.Place) (string, bool) {
	facts := v.facts(p)
	if facts == nil || facts.LocalPorts == nil || facts.LocalPorts.Last-facts.LocalPorts.First >= fewPorts {
		return "", false
	}
	r := *facts.LocalPorts
	return fmt.Sprintf("net.ipv4.ip_local_port_range of %s is %d %d: %s for all connections, each taken for a minute after its end (the kernel's own is 32768 60999)",
		p, r.First, r.Last, count(r.Last-r.First+1, "port")), true
}
