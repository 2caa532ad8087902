package accuracy

import (
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed"
)

// publicCases are those of package testbed. Both daemons are in the runner in the order
// that the case has; what docker-first brings by itself is broken too, unless the case is
// about that.
func publicCases() ([]Case, error) {
	all, err := testbed.All()
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, t := range all {
		c := newCase(t.Order, t.Name)
		if t.DockerFrom != "" {
			c = from(t.DockerFrom, c)
		}
		c.IPv6 = t.IPv6
		c.Environments, c.Source, c.Expect = t.Environments, t.Source, append([]string{}, t.Expect...)
		if t.Killer.Table != "" || t.Killer.Chain != "" || t.Killer.Rule != "" || t.Killer.Setting != "" || len(t.Killer.Parameters) > 0 {
			c.Killer = &t.Killer
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// publicRight reports whether the first finding of a public case is right.
func (s Scored) publicRight(d model.Diagnosis) bool {
	if len(s.Expect) == 0 {
		return d.Verdict == model.Healthy
	}
	return slices.Contains(s.Expect, d.Cause) && (s.Killer == nil || killed(*s.Killer, d.Finding))
}

// killed reports whether a finding names what packets are to end by.
func killed(k testbed.Killer, f model.Finding) bool {
	for name, value := range k.Parameters {
		if f.Remedy == nil || f.Remedy.Parameters[name] != value {
			return false
		}
	}
	if k.Setting != "" && !slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool { return e.Setting != nil && e.Setting.Key == k.Setting }) {
		return false
	}
	if k.Table == "" && k.Chain == "" && k.Rule == "" {
		return true
	}
	return slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool {
		return e.Loss != nil && slices.ContainsFunc(e.Loss.Drops, func(d model.Drop) bool {
			return (k.Table == "" || k.Table == d.Family+" "+d.Table) && (k.Chain == "" || k.Chain == d.Chain) && strings.Contains(d.Rule, k.Rule)
		})
	})
}
