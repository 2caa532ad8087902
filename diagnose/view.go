package diagnose

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// view is a run as rules look at it: the deciding attempts of one round, less
// what earlier findings explain.
type view struct {
	run       model.Run
	round     string
	base      []model.Result
	explained map[string]bool
	// applied are the remedies that were in place in the round.
	applied []model.Remedy
	// left are the results of base that are bad and not explained yet.
	left []model.Result
	// index is made of base when it is first looked for something in it.
	index *index
	// seen are the killers, once they were looked for.
	seen *[]killer
	// heard is what daemons were heard to say, by result.
	heard map[string]heardOf
	// facted are the results that facts of dockerd explain, once they were looked for.
	facted map[string]bool
}

// newView looks at a run as it was found.
func newView(run model.Run, findings []model.Finding) *view {
	v := &view{run: run, round: model.RoundBaseline, base: round(run, model.RoundBaseline), explained: map[string]bool{}}
	found := map[string]string{}
	if len(findings) > 0 {
		found = foundAs(run)
	}
	for _, f := range findings {
		if f.Confidence != model.Proven && f.Confidence != model.Supported {
			continue
		}
		for _, e := range f.Evidence {
			for _, ref := range e.Refs {
				v.explained[ref] = true
				v.explained[found[ref]] = true
			}
		}
	}
	v.pickUnexplained()
	return v
}

// pickUnexplained picks what is left to explain.
func (v *view) pickUnexplained() {
	v.left = filter(v.base, func(r model.Result) bool {
		return (r.Outcome.Bad() || !r.Outcome.Valid()) && !v.explained[r.Ref()]
	})
}

// foundAs maps the results of later rounds to the baseline's for the same: what
// is explained with a remedy in place was hidden by another cause before.
func foundAs(run model.Run) map[string]string {
	found := map[string]string{}
	base := byObservation(round(run, model.RoundBaseline))
	for _, r := range run.Results {
		if r.Round == model.RoundBaseline {
			continue
		}
		for _, b := range base[observationOf(r)] {
			found[r.Ref()] = b.Ref()
		}
	}
	return found
}

// under looks at what is left of a run's failures with a change in place: at the
// places that were probed with it. All others are as they were found, and no
// longer in question. Where the change cured all that it was to cure, only what
// nothing explains without it either is left.
func (v *view) under(made model.Intervention, came model.Confidence) *view {
	layer := &view{run: v.run, round: made.Intervened, base: round(v.run, made.Intervened), explained: v.explained,
		applied: append(slices.Clone(made.Under), made.Remedy)}
	probed := placesOf(layer.base)
	layer.pickUnexplained()
	if came == model.Proven {
		layer.left = again(v.left, layer.left)
	}
	layer.base = append(filter(v.base, func(r model.Result) bool { return !slices.Contains(probed, r.Place) }), layer.base...)
	return layer
}

// forwards reports whether the runner forwards IPv4; known is false where that
// was not read.
func (v *view) forwards() (on, known bool) {
	if slices.ContainsFunc(v.applied, func(r model.Remedy) bool { return r.Name == catalogue.IPForwardOn }) {
		return true, true
	}
	runner := v.facts(v.runner())
	if runner == nil || runner.IPForward == nil {
		return false, false
	}
	return *runner.IPForward, true
}

// round holds the deciding attempt of each probe in one round.
func round(run model.Run, name string) []model.Result {
	var in []model.Result
	for _, r := range run.Results {
		if r.Round == name {
			in = append(in, r)
		}
	}
	return model.Final(in)
}

// places are those with results in the baseline, in table order.
func (v *view) places() []model.Place { return slices.Clone(v.indexed().places) }

func (v *view) of(p model.Place) []model.Result { return slices.Clip(v.indexed().of[p]) }

// unexplained lists the results that speak against a place and that nothing explains yet.
func (v *view) unexplained() []model.Result { return slices.Clone(v.left) }

func (v *view) facts(p model.Place) *model.Facts {
	var found *model.Facts
	for i := range v.run.Facts {
		f := &v.run.Facts[i]
		if f.Place == p && (f.Round == v.round || f.Round == "" && found == nil) {
			found = f
		}
	}
	return v.changed(found)
}

// changed are facts with what the applied remedies made of them: the runner is not
// looked at again when its bridge has another network.
func (v *view) changed(f *model.Facts) *model.Facts {
	if f == nil || f.Place != v.runner() {
		return f
	}
	for _, r := range v.applied {
		i := slices.IndexFunc(f.Interfaces, func(i model.Interface) bool { return i.Name == r.Parameters["bridge"] })
		if r.Name != catalogue.BridgeSubnet && r.Name != catalogue.BridgeAddress || i < 0 {
			continue
		}
		other := *f
		other.Interfaces = slices.Clone(f.Interfaces)
		six := filter(f.Interfaces[i].Addresses, func(a string) bool { return strings.Contains(a, ":") })
		other.Interfaces[i].Addresses = append([]string{r.Parameters["address"]}, six...)
		f = &other
	}
	return f
}

// runner is the control's place, if the run has one.
func (v *view) runner() model.Place { return model.Place{Environment: model.EnvRunner} }

// control is the runner's result for the same probe and target.
func (v *view) control(r model.Result) (model.Result, bool) {
	c, ok := v.indexed().controls[asks(r)]
	return c, ok
}

// watch is what was counted while a place was probed in the round looked at.
func (v *view) watch(p model.Place) *model.Watch { return watchIn(v.run, p, v.round) }

func watchIn(run model.Run, p model.Place, round string) *model.Watch {
	for i := range run.Watches {
		if w := &run.Watches[i]; w.Place == p && w.Round == round {
			return w
		}
	}
	return nil
}

// tcpLike reports whether a probe makes a TCP connection itself.
func tcpLike(r model.Result) bool {
	return slices.Contains([]string{model.ProbeTCP, model.ProbeHTTP, model.ProbeHTTPS}, r.Probe)
}

func passed(r model.Result) bool { return r.Outcome == model.Pass || r.Outcome == model.XPass }

// answered reports whether something came back over IPv4: a pass, or a failure
// that only an answer can cause.
func answered(r model.Result) bool {
	if passed(r) {
		return !onlyIPv6(r)
	}
	back := []model.Reason{
		model.Refused, model.TLSUntrusted, model.TLSExpired, model.TLSName, model.TLSOther,
		model.HTTPStatus, model.RateLimited, model.ServerError, model.ProxyRequired, model.ReadTimeout,
	}
	return r.Outcome.Bad() && (slices.Contains(back, r.Reason) && !onlyIPv6(r) || halfAnswered(r))
}

// halfAnswered reports whether an IPv4 address answered what tries every address, and
// fails as no IPv6 one did.
func halfAnswered(r model.Result) bool {
	return r.Probe == model.ProbeTCP && r.Outcome.Bad() && slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool {
		a, err := netip.ParseAddrPort(d.Address)
		return err == nil && a.Addr().Unmap().Is4() && d.Reason == ""
	})
}

// onlyIPv6 reports whether all addresses that connected are IPv6 ones.
func onlyIPv6(r model.Result) bool {
	six, four := false, false
	for _, d := range r.Detail.Dials {
		a, err := netip.ParseAddrPort(d.Address)
		if err != nil || d.Reason != "" {
			continue
		}
		if a.Addr().Unmap().Is4() {
			four = true
		} else {
			six = true
		}
	}
	return six && !four
}

// outside reports whether a target is beyond the networks that the place is
// attached to. A name counts as outside unless an address of it was dialled that
// is not.
func outside(r model.Result, f *model.Facts) bool {
	if f == nil {
		return true
	}
	own, hosts := networks(f), []string{hostOf(r.Target)}
	for _, d := range r.Detail.Dials {
		hosts = append(hosts, hostOf(d.Address))
	}
	for _, h := range hosts {
		a, err := netip.ParseAddr(h)
		if err != nil {
			continue
		}
		for _, n := range own {
			if n.Contains(a) {
				return false
			}
		}
	}
	return true
}

// hostOf is the host of a URL, of HOST:PORT or of a bare name.
func hostOf(target string) string {
	if strings.Contains(target, "://") {
		if u, err := url.Parse(target); err == nil {
			return u.Hostname()
		}
	}
	if host, _, err := net.SplitHostPort(target); err == nil {
		return host
	}
	return target
}

// networks are those that a place is attached to.
func networks(f *model.Facts) []netip.Prefix {
	var all []netip.Prefix
	for _, i := range f.Interfaces {
		for _, a := range i.Addresses {
			if p, err := netip.ParsePrefix(a); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, v := range in {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// refsOf are the references of results.
func refsOf(results []model.Result) []string {
	refs := make([]string, len(results))
	for i, r := range results {
		refs[i] = r.Ref()
	}
	return refs
}
