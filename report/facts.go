package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// factRows are the facts that the table shows; a fact may have several lines.
var factRows = []struct {
	name string
	of   func(model.Facts) []string
}{
	{"os", func(f model.Facts) []string { return []string{strings.TrimSpace(f.OS.ID + " " + f.OS.Version)} }},
	{"kernel", func(f model.Facts) []string { return []string{f.Kernel} }},
	{"addresses", addresses},
	{"default route", defaultRoutes},
	{"mtu", mtus},
	{"resolver", func(f model.Facts) []string { return f.Resolvers }},
	{"ip_forward", func(f model.Facts) []string { return []string{onOff(f.IPForward)} }},
	{"docker", docker},
	{"forward policy", forwardPolicies},
	{"kvm", kvm},
	{"could not read", func(f model.Facts) []string { return f.Errors }},
}

// factsGrid puts the facts, as found, of all places but scenarios side by side; lines are joined by sep.
func factsGrid(run model.Run, sep string) (grid, bool) {
	facts := filter(run.Facts, func(f model.Facts) bool { return f.Scenario == "" && f.Round == "" })
	if len(facts) == 0 {
		return grid{}, false
	}
	var places []model.Place
	for _, f := range facts {
		places = append(places, f.Place)
	}
	g := grid{heads: append([]string{"fact"}, heads(places)...)}
	for _, r := range factRows {
		line, known := []string{r.name}, false
		for _, f := range facts {
			cell := joinClean(r.of(f), sep)
			known = known || cell != ""
			line = append(line, cmp.Or(cell, none))
		}
		if known {
			g.rows = append(g.rows, line)
		}
	}
	return g, true
}

func joinClean(lines []string, sep string) string {
	var out []string
	for _, l := range lines {
		if l = clean(l); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, sep)
}

// addresses leaves out the loopback and link-local ones.
func addresses(f model.Facts) []string {
	var lines []string
	for _, i := range f.Interfaces {
		for _, a := range i.Addresses {
			p, err := netip.ParsePrefix(a)
			if err == nil && (p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast()) {
				continue
			}
			lines = append(lines, i.Name+" "+a)
		}
	}
	return lines
}

func defaultRoutes(f model.Facts) []string {
	var lines []string
	for _, r := range f.Routes {
		if r.Destination == "default" {
			lines = append(lines, strings.TrimSpace(r.Gateway+" dev "+r.Device))
		}
	}
	return lines
}

// mtus are those of the interfaces that a default route leaves by.
func mtus(f model.Facts) []string {
	var lines []string
	for _, i := range f.Interfaces {
		for _, r := range f.Routes {
			if r.Destination == "default" && r.Device == i.Name {
				lines = append(lines, strconv.Itoa(i.MTU))
				break
			}
		}
	}
	return lines
}

func onOff(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "on"
	default:
		return "off"
	}
}

func docker(f model.Facts) []string {
	switch d := f.Docker; {
	case d == nil:
		return nil
	case d.Error != "":
		return []string{"does not answer"}
	default:
		return []string{d.Version, d.StorageDriver, d.Firewall}
	}
}

func forwardPolicies(f model.Facts) []string {
	var lines []string
	for _, c := range f.Forward {
		line := fmt.Sprintf("%s %s %s", c.Family, c.Chain, c.Policy)
		if c.Table != "filter" {
			line = fmt.Sprintf("%s %s %s %s", c.Family, c.Table, c.Chain, c.Policy)
		}
		lines = append(lines, line)
	}
	return lines
}

func kvm(f model.Facts) []string {
	switch {
	case f.KVM.Usable:
		return []string{"opens"}
	case f.KVM.Present:
		return []string{"not usable"}
	default:
		return nil
	}
}
