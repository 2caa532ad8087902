package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// How findings about a resolver that answers in part are headed.
const (
	titleTruncated = "The resolver's answers are truncated, and it gives none over TCP"
	titleNoAAAA    = "The resolver answers questions for IPv4 addresses, and none for IPv6 ones"
)

// cutShort is the first question of a place that was answered by a truncated message, and then
// not over TCP.
func (v *view) cutShort(p model.Place) (model.Result, bool) {
	for _, r := range v.of(p) {
		if r.Probe == model.ProbeDNSA && r.Outcome.Bad() && r.Detail.Values["truncated"] != "" && r.Detail.Values["rcode"] == "" {
			return r, true
		}
	}
	return model.Result{}, false
}

// truncated: the answers of a place's resolver do not fit, and what it is asked over TCP fails.
func (v *view) truncated(p model.Place) (told, bool) {
	r, is := v.cutShort(p)
	mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && unnamed(r) && len(r.Detail.Dials) == 0 })
	if !is || len(mine) == 0 || len(v.resolving(p)) > 0 {
		return told{}, false
	}
	over := "does not answer (a firewall may drop it)"
	switch r.Reason {
	case model.DNSRefused:
		over = "is refused"
	case model.Unreachable, model.Permission:
		over = "is not reached"
	}
	return told{results: mine, refs: []string{r.Ref()}, text: fmt.Sprintf(
		"%s answers over UDP, with messages that are truncated (TC), and TCP port 53, where the whole answer is to be asked for, %s: let TCP through there, or have it give smaller answers", resolverOf(r), over)}, true
}

// aaaaSilent: a place's resolver answers questions for IPv4 addresses at once, and none of
// those for IPv6 ones.
func (v *view) aaaaSilent(p model.Place) (told, bool) {
	var four, six []model.Result
	for _, r := range v.of(p) {
		switch r.Probe {
		case model.ProbeDNSA:
			four = append(four, r)
		case model.ProbeDNSAAAA:
			six = append(six, r)
		}
	}
	if len(four) == 0 || len(six) == 0 {
		return told{}, false
	}
	resolver := resolverOf(four[0])
	if slices.ContainsFunc(four, func(r model.Result) bool { return !passed(r) || resolverOf(r) != resolver }) {
		return told{}, false
	}
	slowest := int64(1) // of all who ask it
	for _, r := range v.base {
		if r.Probe == model.ProbeDNSA && resolverOf(r) == resolver {
			slowest = max(slowest, r.DurationMS)
		}
	}
	for _, r := range six {
		if r.Reason != model.DNSTimeout || !slices.Contains(askedIn(r), resolver) || r.DurationMS < 4*slowest {
			return told{}, false
		}
	}
	mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && unnamed(r) && len(r.Detail.Dials) == 0 })
	if resolver == "" || len(mine) == 0 {
		return told{}, false
	}
	return told{results: mine, refs: append(refsOf(four), refsOf(six)...), text: fmt.Sprintf(
		"%s answers questions for IPv4 addresses (A), in %d ms at most, and none of those for IPv6 ones (AAAA): programs that ask for both wait for the second answer until they give up", resolver, slowest)}, true
}

// resolverOf is who answered a question, or was asked last.
func resolverOf(r model.Result) string {
	text := r.Detail.Values["resolver"]
	if at, err := netip.ParseAddrPort(text); err == nil && at.Port() == portDNS {
		return at.Addr().String()
	}
	return text
}

// askedIn are all who were asked.
func askedIn(r model.Result) []string {
	all := []string{resolverOf(r)}
	for one := range strings.FieldsSeq(r.Detail.Values["tried"]) {
		at, _, _ := strings.Cut(one, "=")
		all = append(all, resolverOf(model.Result{Detail: model.Detail{Values: map[string]string{"resolver": at}}}))
	}
	return all
}

// elsewhere are failures of a place at addresses that its resolver gives names, and the runner's
// gives others, which are reached; connections of the place to others are answered.
func (v *view) elsewhere(p model.Place) []told {
	bridge, attached := v.attached(p)
	facts := v.facts(p)
	if !attached || !slices.ContainsFunc(v.of(p), func(r model.Result) bool { return tcpLike(r) && answered(r) && outside(r, facts) }) {
		return nil
	}
	var all []told
	for _, here := range v.of(p) {
		there, known := v.control(here)
		if here.Probe != model.ProbeDNSA || !passed(here) || !known || !passed(there) || resolverOf(here) == resolverOf(there) {
			continue
		}
		given, right := addressesOfName(here), addressesOfName(there)
		if len(given) == 0 || len(right) == 0 || slices.ContainsFunc(given, func(a netip.Addr) bool { return slices.Contains(right, a) }) {
			continue
		}
		mine := filter(v.unexplained(), func(r model.Result) bool {
			c, ok := v.control(r)
			return r.Place == p && targetHost(r) == here.Target && ok && passed(c) && r.Outcome.Bad() && dialledOnly(r, given)
		})
		if len(mine) == 0 || slices.ContainsFunc(v.of(p), func(r model.Result) bool { return reached(r, given) }) {
			continue
		}
		t := told{results: mine, refs: append(refsOf(mine), here.Ref(), there.Ref()), text: fmt.Sprintf(
			"%s, which places behind %s ask, gives %s the address %s, where nothing answers; %s, which the runner asks, gives it %s, and that is reached; other connections of %s are answered",
			resolverOf(here), bridge, here.Target, here.Detail.Values["addresses"], resolverOf(there), there.Detail.Values["addresses"], p)}
		if w := v.watch(p); w != nil && w.Sightings != nil {
			if options := v.servedBy(w.Sightings, bridge, portDNS, "address", "host-record", "cname", "alias", "server"); options != "" {
				t.text += "; " + options
			}
		}
		all = append(all, t)
	}
	return all
}

// addressesOfName are the IPv4 addresses that a question was answered with.
func addressesOfName(r model.Result) (all []netip.Addr) {
	for text := range strings.FieldsSeq(r.Detail.Values["addresses"]) {
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
			all = append(all, a)
		}
	}
	return all
}

// dialledOnly reports whether a result tried to connect by IPv4, to these addresses alone.
func dialledOnly(r model.Result, to []netip.Addr) bool {
	four := filter(r.Tried(), netip.Addr.Is4)
	return len(four) > 0 && !slices.ContainsFunc(four, func(a netip.Addr) bool { return !slices.Contains(to, a) })
}

// reached reports whether one of these addresses answered a connection.
func reached(r model.Result, to []netip.Addr) bool {
	return slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool {
		at, err := netip.ParseAddrPort(d.Address)
		return err == nil && d.Reason == "" && slices.Contains(to, at.Addr().Unmap())
	})
}
