package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// maxPortDelay is the time, in seconds, after which a guest may have asked for an address for
// the last time: udhcpc asks three times, each 3 s after the last.
const maxPortDelay = 9

// addressLost: the bridge of a place has no IPv4 address, though the place has that for its
// gateway.
func (v *view) addressLost(p model.Place, _ *model.Sightings, lost []model.Result) (told, bool) {
	runner, facts := v.facts(v.runner()), v.facts(p)
	if p == v.runner() || runner == nil || facts == nil {
		return told{}, false
	}
	at, _ := v.attached(p)
	for _, b := range v.run.Plan.Bridges {
		of := slices.ContainsFunc(networks(facts), func(n netip.Prefix) bool { return b.Lost.Contains(n.Addr()) })
		if !of || at != "" && at != b.Name || v.addressOf(b.Name) != "" {
			continue
		}
		mine := filter(lost, func(r model.Result) bool { return r.Unnamed() || !allIPv6(r) })
		t := told{results: mine, text: fmt.Sprintf("%s has no IPv4 address, and guests there have %s for their gateway, as %s is to give the bridge %s (`ip address show dev %s`)",
			b.Name, b.Lost.Addr(), b.Program, b.Lost, b.Name)}
		if catalogue.Interface(b.Name) == nil {
			r := catalogue.Named(catalogue.BridgeAddress, map[string]string{"bridge": b.Name, "address": b.Lost.String()})
			t.remedy = &r
		}
		return t, len(mine) > 0
	}
	return told{}, false
}

// sourceElsewhere: strict reverse path filtering refuses a guest's ARP requests, as the
// runner's route to the guest leaves by another interface, so that no packet of it comes.
func (v *view) sourceElsewhere(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	bridge, attached := v.attached(p)
	runner := v.facts(v.runner())
	if !attached || bridge == "" || runner == nil || slices.ContainsFunc(s.Drops, func(d model.Sighting) bool { return d.Kernel != nil && d.Kernel.Reason == "IP_RPFILTER" }) {
		return told{}, false
	}
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool { return d.Kind == "reverse path" && d.In == bridge })
	if !ok {
		return told{}, false
	}
	best, taken := netip.Prefix{}, ""
	for _, r := range runner.Routes {
		n, err := catalogue.ParseNetwork(r.Destination)
		if err == nil && n.Contains(d.Source) && (!best.IsValid() || n.Bits() > best.Bits()) {
			best, taken = n, r.Device
		}
	}
	if taken == "" || taken == bridge {
		return told{}, false
	}
	t := told{results: mine, text: fmt.Sprintf("the runner's route to %s leaves by %s (`ip route show %s`), and strict rp_filter on %s (`sysctl net.ipv4.conf.%s.rp_filter`) refuses what comes from there, ARP requests too",
		d.Source, taken, best, bridge, bridge)}
	reply := d
	reply.Source, reply.Destination, reply.Reply = d.Destination, d.Source, true
	if r, known := v.wayBack(misled{Decision: reply, place: p, bridge: bridge}, false); known {
		t.remedy = &r
	}
	return t, true
}

// skippedBridges are those that no stand-in could be put on.
func (v *view) skippedBridges() []string {
	var all []string
	for _, r := range v.base {
		if r.Probe == model.ProbeStart && r.Outcome == model.Skip && r.Environment == model.EnvBridge && !slices.Contains(all, r.Name) {
			all = append(all, r.Name)
		}
	}
	return all
}

// bridgeNotes say of bridges what may keep guests from an address that were not there yet.
func (v *view) bridgeNotes() []string {
	var all []string
	for _, b := range v.run.Plan.Bridges {
		if b.PortDelay > maxPortDelay {
			all = append(all, fmt.Sprintf("%s speaks STP, with a forward delay of %g s: a new port takes no packets for %g s, in which a guest that starts may give up asking for an address (`ip link set dev %s type bridge stp_state 0`, or a shorter forward_delay)",
				b.Name, b.PortDelay/2, b.PortDelay, b.Name))
		}
	}
	return all
}

// beside puts what was not looked at, and what is of note, into a diagnosis.
func (v *view) beside(d *model.Diagnosis) {
	d.Skipped, d.Notes = v.skippedBridges(), v.bridgeNotes()
	if len(d.Skipped) > 0 {
		d.Summary += fmt.Sprintf(" Not looked at: %s.", strings.Join(d.Skipped, ", "))
	}
	for _, n := range d.Notes {
		d.Summary += " " + sentence(n) + "."
	}
}
