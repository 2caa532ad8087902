package diagnose

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// narrow is a route of the runner's with an MTU of its own.
type narrow struct {
	mtu      int
	evidence model.Evidence
}

// narrowRoute is the route of the smallest MTU that packets from or to these places take.
func (v *view) narrowRoute(places []model.Place) (least narrow, ok bool) {
	for _, p := range places {
		w := v.watch(p)
		if w == nil || w.Sightings == nil {
			continue
		}
		for _, d := range w.Sightings.Decisions {
			if d.MTU < 68 || d.MTU >= 1500 || ok && d.MTU >= least.mtu {
				continue
			}
			to := d.Destination
			least, ok = narrow{d.MTU, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf(
				"the runner's own route to %s by %s has an MTU of %d bytes (`ip route get %s`): what is larger does not pass it, and what tells the sender so (ICMP) does not arrive", to, d.Out, d.MTU, to)}}, true
		}
	}
	return least, ok
}

// mtuFor is that of a narrow route on the way of these places, or else the path's.
func (v *view) mtuFor(places []model.Place, uplink string, runner *model.Facts) int {
	if narrow, ok := v.narrowRoute(places); ok && narrow.mtu >= 576 {
		return narrow.mtu
	}
	return pathMTU(uplink, runner)
}
