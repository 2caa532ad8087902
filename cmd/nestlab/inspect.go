package main

import (
	"context"
	"net/netip"

	"github.com/nestlab/nestlab/facts"
	"github.com/nestlab/nestlab/hops"
	"github.com/nestlab/nestlab/model"
)

// inspector looks at the place that is probed when a probe fails in it, and counts
// the packets of its own interfaces, in the probing process itself.
type inspector struct {
	capture *hops.Capture
	errs    []string
	targets []netip.Addr
	found   *model.Inspection
}

// inspect begins to count. The runner's own interfaces are watched from outside of
// the suite, for all places.
func inspect(ctx context.Context, p model.Place) *inspector {
	i := &inspector{}
	if p.Environment == model.EnvRunner {
		return i
	}
	capture, err := hops.Start(ctx)
	if err != nil {
		i.errs = append(i.errs, err.Error())
	}
	i.capture = capture
	return i
}

// saw gets each result as it comes.
func (i *inspector) saw(ctx context.Context, r model.Result) {
	i.targets = append(i.targets, r.Tried()...)
	if r.Outcome == model.Fail && i.found == nil {
		found := facts.Inspect(ctx, r)
		i.found = &found
	}
}

// end is the inspection, nil where nothing failed.
func (i *inspector) end() *model.Inspection {
	var seen []model.Hop
	if i.capture != nil {
		var err error
		if seen, err = i.capture.Stop(nil, i.targets); err != nil {
			i.errs = append(i.errs, err.Error())
		}
	}
	if i.found == nil {
		return nil
	}
	for _, h := range seen {
		i.found.NICs = append(i.found.NICs, model.NIC{Interface: h.Interface, Flow: h.Runner})
	}
	i.found.Errors = append(i.found.Errors, i.errs...)
	return i.found
}
