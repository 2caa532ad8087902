package report

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// hopsGrid shows, as found, how far the TCP openings of each place got on the
// runner: the hop at which they were last seen is the last that is not 0.
func hopsGrid(run model.Run) (grid, bool) {
	g := grid{heads: []string{"place", "seen on", "TCP openings there", "fell to a policy", "left translated", "left untranslated", "answered"}}
	for _, p := range observed(run) {
		for _, w := range run.Watches {
			if uplink, ok := w.Uplink(); ok && w.Place == p && w.Round == model.RoundBaseline {
				g.rows = append(g.rows, hopsRow(w, uplink))
			}
		}
	}
	return g, len(g.rows) > 0
}

func hopsRow(w model.Watch, uplink model.Hop) []string {
	inside := model.Hop{Interface: none}
	for _, h := range w.Hops {
		if h.Role != model.RoleUplink && h.Place.Out > inside.Place.Out {
			inside = h
		}
	}
	fell := uint64(0)
	for _, r := range w.PolicyRises() {
		if r.Chain.Policy == "DROP" {
			fell += r.Packets
		}
	}
	line := []string{w.Place.String(), inside.Interface}
	for _, n := range []uint64{inside.Place.SYN, fell, uplink.Runner.SYN, uplink.Place.SYN, uplink.Runner.SYNACK} {
		line = append(line, fmt.Sprint(n))
	}
	return line
}
