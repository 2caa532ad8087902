package report

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// hopsGrid shows, as found, how far the TCP SYNs of each place got on the
// way: from the place's own NIC over the runner's bridge to its uplink. The hop at
// which they were last seen is the last that is not 0.
func hopsGrid(run model.Run) (grid, bool) {
	g := grid{heads: []string{"environment", "left its own NIC", "seen on", "TCP SYNs there", "dropped by policy", "left with NAT", "left without NAT", "answered"}}
	for _, p := range observed(run) {
		for _, w := range run.Watches {
			if uplink, ok := w.Uplink(); ok && w.Place == p && w.Round == model.RoundBaseline {
				g.rows = append(g.rows, hopsRow(w, uplink, ownNIC(run, p)))
			}
		}
	}
	return g, len(g.rows) > 0
}

// ownNIC is how many TCP SYNs left the place by its own NIC, which is counted
// there and known where something failed.
func ownNIC(run model.Run, p model.Place) string {
	i, _ := run.Inspection(p, model.RoundBaseline)
	nic, counted := i.NIC()
	if !counted {
		return none
	}
	return fmt.Sprintf("%d (%s)", nic.Flow.SYN, nic.Interface)
}

func hopsRow(w model.Watch, uplink model.Hop, own string) []string {
	inside := model.Hop{Interface: none}
	for _, h := range w.Hops {
		if h.Role != model.RoleUplink && h.Interface != uplink.Interface && h.Place.Out > inside.Place.Out {
			inside = h
		}
	}
	fell := uint64(0)
	for _, r := range w.PolicyRises() {
		if r.Chain.Policy == "DROP" {
			fell += r.Packets
		}
	}
	line := []string{w.Place.String(), own, inside.Interface}
	for _, n := range []uint64{inside.Place.SYN, fell, uplink.Runner.SYN, uplink.Place.SYN, uplink.Runner.SYNACK} {
		line = append(line, fmt.Sprint(n))
	}
	return line
}
