package modeltest

import (
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Resolve reports whether a reference of evidence points at something that is in
// the run: a result, a watch, an inspection, or a fact that was read.
func Resolve(run model.Run, ref string) bool {
	switch kind, _, _ := strings.Cut(ref, "/"); kind {
	case "results":
		for _, r := range run.Results {
			if r.Ref() == ref {
				return true
			}
		}
	case "watches":
		for _, w := range run.Watches {
			if w.Ref() == ref {
				return true
			}
		}
	case "inspections":
		for _, i := range run.Inspections {
			if i.Ref() == ref {
				return true
			}
		}
	case "daemons":
		for _, d := range run.Daemons {
			if d.Ref() == ref {
				return true
			}
		}
	case "facts":
		for _, f := range run.Facts {
			if name, ok := strings.CutPrefix(ref, model.FactsRef(f.Place, "")); ok && hasFact(f, name) {
				return true
			}
		}
	}
	return false
}

func hasFact(f model.Facts, name string) bool {
	switch name {
	case "forward":
		return len(f.Forward) > 0
	case "docker":
		return f.Docker != nil
	case "ip_forward":
		return f.IPForward != nil
	case "interfaces":
		return len(f.Interfaces) > 0
	case "routes":
		return len(f.Routes) > 0
	case "disks":
		return len(f.Disks) > 0
	case "kvm":
		return f.KVM.Present
	case "limits":
		return len(f.Limits) > 0
	case "engine":
		return f.Engine != nil
	case "no_subordinates":
		return len(f.NoSubordinates) > 0
	case "hosts":
		return len(f.Hosts) > 0
	case "local_ports":
		return f.LocalPorts != nil
	case "source_nat":
		return f.SourceNAT != nil
	case "resolvers":
		return len(f.Resolvers) > 0
	default:
		return false
	}
}
