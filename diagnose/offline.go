package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// The causes that lie in the runner's own network.
const (
	CauseRunnerOffline = "runner-offline"
	CauseSubnetOverlap = "subnet-overlap"
)

func runnerOffline() Rule {
	return Rule{
		Cause: CauseRunnerOffline,
		About: "the runner itself reaches nothing outside",
		match: matchRunnerOffline, summary: plainly("The runner itself is offline: nothing in it can reach more than it does"),
	}
}

// matchRunnerOffline: no route, or no connection of the runner that is answered.
func matchRunnerOffline(v *view) []Hypothesis {
	failed := filter(v.because(model.ConnectTimeout, model.Unreachable, model.DNSTimeout, model.NoResolver), func(r model.Result) bool {
		return r.Place == v.runner() && !allIPv6(r) && (tcpLike(r) || r.Probe == model.ProbeDNSA)
	})
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseRunnerOffline, failed, "no connection that the runner tried was answered")
	e, routeless := v.noRoute()
	if routeless {
		h.Finding.Evidence = append([]model.Evidence{e}, h.Finding.Evidence...)
	}
	h.contradict(filter(v.of(v.runner()), func(r model.Result) bool { return tcpLike(r) && answered(r) }), "the runner gets answers from outside")
	names := filter(failed, func(r model.Result) bool { return r.Reason == model.DNSTimeout || r.Reason == model.NoResolver })
	if !routeless && len(names) == len(failed) {
		h.contradict(names, "names alone failed: what is behind them was not tried")
	}
	for _, r := range v.bad() {
		if r.Place != v.runner() && r.Reason != "" && !slices.Contains(h.Follows, r.Ref()) {
			h.Follows = append(h.Follows, r.Ref())
		}
	}
	return []Hypothesis{h}
}

// noRoute is that the runner has no way out, where its routes were read.
func (v *view) noRoute() (model.Evidence, bool) {
	f := v.facts(v.runner())
	if f == nil || len(f.Interfaces) == 0 {
		return model.Evidence{}, false
	}
	uplink := uplinkOf(f)
	refs := []string{model.FactsRef(v.runner(), factInterfaces)}
	if uplink == "" {
		return model.Evidence{Refs: refs, Says: "the runner has no default route"}, true
	}
	i := slices.IndexFunc(f.Interfaces, func(i model.Interface) bool { return i.Name == uplink })
	if i >= 0 && !f.Interfaces[i].Up {
		return model.Evidence{Refs: refs, Says: fmt.Sprintf("the runner's uplink %s is down", uplink)}, true
	}
	return model.Evidence{}, false
}

func subnetOverlap() Rule {
	return Rule{
		Cause:    CauseSubnetOverlap,
		About:    "a bridge has a network that something outside has as well",
		Remedies: []string{catalogue.BridgeSubnet},
		match:    matchSubnetOverlap, summary: plainly("A bridge of the runner has a network that is in use outside as well: packets for there stay on the bridge"),
	}
}

// matchSubnetOverlap looks for places whose targets are, by their address, in
// their own network.
func matchSubnetOverlap(v *view) []Hypothesis {
	runner := v.facts(v.runner())
	if runner == nil {
		return nil
	}
	bridge, other, found := overlap(runner)
	if !found {
		return nil
	}
	failed := filter(v.because(model.ConnectTimeout, model.Unreachable, model.DNSTimeout), func(r model.Result) bool {
		at, ok := v.attached(r.Place)
		c, known := v.control(r)
		return ok && at == bridge.Name && (!known || passed(c))
	})
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseSubnetOverlap, failed, fmt.Sprintf("%s and %s of the runner have networks that overlap (%s, %s)",
		bridge.Name, other.Name, v4Of(bridge), v4Of(other)))
	h.Finding.Evidence[0].Refs = append(slices.Clone(h.Finding.Evidence[0].Refs), model.FactsRef(v.runner(), factInterfaces))
	if address, ok := freeNetwork(runner); ok && !dockerBridge(bridge.Name) && catalogue.Interface(bridge.Name) == nil {
		h.test(catalogue.Named(catalogue.BridgeSubnet, map[string]string{"bridge": bridge.Name, "address": address}), placesOf(failed)...)
	}
	return []Hypothesis{h}
}

// freeNetwork is an address in a private network of which the runner knows none,
// by its interfaces and its routes.
func freeNetwork(f *model.Facts) (string, bool) {
	var taken []netip.Prefix
	for _, i := range f.Interfaces {
		taken = append(taken, prefixes(i)...)
	}
	for _, r := range f.Routes {
		if p, err := netip.ParsePrefix(r.Destination); err == nil && p.Bits() > 0 {
			taken = append(taken, p)
		}
	}
	for third := range 256 {
		own := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 177, byte(third), 1}), 24)
		if !slices.ContainsFunc(taken, own.Overlaps) {
			return own.String(), true
		}
	}
	return "", false
}

// overlap finds a bridge whose network is also that of another interface.
func overlap(f *model.Facts) (bridge, other model.Interface, found bool) {
	for _, a := range f.Interfaces {
		for _, b := range f.Interfaces {
			if a.Type != "bridge" || a.Name == b.Name {
				continue
			}
			for _, x := range prefixes(a) {
				for _, y := range prefixes(b) {
					if x.Overlaps(y) {
						return a, b, true
					}
				}
			}
		}
	}
	return bridge, other, false
}

// prefixes are the IPv4 networks of an interface, loopback and link-local ones left out.
func prefixes(i model.Interface) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range i.Addresses {
		p, err := netip.ParsePrefix(s)
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			all = append(all, p)
		}
	}
	return all
}

func v4Of(i model.Interface) string {
	var all []string
	for _, p := range prefixes(i) {
		all = append(all, p.String())
	}
	return join(all)
}
