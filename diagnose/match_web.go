package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func matchProxyRequired(v *view) []Hypothesis {
	asked := v.failedWith(model.ProxyRequired)
	if len(asked) == 0 {
		return nil
	}
	places := placesOf(asked)
	refused := filter(v.failedWith(model.Refused, model.ConnectTimeout), func(r model.Result) bool {
		return slices.Contains(places, r.Place) && tcpLike(r)
	})
	h := v.symptom(CauseProxyRequired, append(slices.Clone(asked), refused...), "answers are 407: a proxy wants to be used")
	h.follow(filter(v.failedWith(model.HTTPStatus, model.Refused), func(r model.Result) bool { return slices.Contains(places, r.Place) }))
	return []Hypothesis{h}
}

// follow adds failures that are a consequence.
func (h *Hypothesis) follow(results []model.Result) {
	known := set(append(slices.Clone(h.Explains), h.Follows...))
	for _, r := range results {
		if ref := r.Ref(); !known[ref] {
			known[ref] = true
			h.Follows = append(h.Follows, ref)
		}
	}
}

// matchTLSIntercepted needs more than one site: a single one may be at fault itself.
func matchTLSIntercepted(v *view) []Hypothesis {
	failed := v.failedWith(model.TLSUntrusted)
	if len(failed) == 0 {
		return nil
	}
	says := fmt.Sprintf("the certificates of %s are not trusted", join(hosts(failed)))
	if issuers := issuersOf(failed); len(issuers) > 0 {
		says += ", signed by " + join(issuers)
	}
	h := v.symptom(CauseTLSIntercepted, failed, says)
	v.everySite(&h, failed)
	remedy := catalogue.Named(catalogue.CAInstall, nil)
	h.Finding.Remedy = &remedy
	return []Hypothesis{h}
}

func issuersOf(results []model.Result) []string {
	var all []string
	for _, r := range results {
		if i := r.Detail.Values["issuer"]; i != "" {
			all = append(all, i)
		}
	}
	return unique(all)
}

// everySite contradicts where TLS works with other sites in the same places, or
// only one site was asked.
func (v *view) everySite(h *Hypothesis, failed []model.Result) {
	places := placesOf(failed)
	h.contradict(filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeHTTPS && passed(r) && slices.Contains(places, r.Place)
	}), "other sites' certificates are accepted there")
	if len(hosts(failed)) < 2 {
		h.contradict(failed, "only one site was seen to have it: it may be its own")
	}
}

func matchClockSkew(v *view) []Hypothesis {
	failed := v.failedWith(model.TLSExpired)
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseClockSkew, failed, fmt.Sprintf("the certificates of %s are all out of date by this clock", join(hosts(failed))))
	v.everySite(&h, failed)
	return []Hypothesis{h}
}
