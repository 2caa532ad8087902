package accuracy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// group are cases that one start of the daemons does for.
type group struct {
	key   string
	order spec.Order
	// docker is the suite that dockerd is from, environments are those that the
	// runner is made for.
	docker       spec.DockerSuite
	ipv6         bool
	environments []string
	atStart      []faults.Fault
	cases        []Case
}

// groups puts together what needs the same start, in the order of the first case of each.
func groups(cases []Case) ([]group, error) {
	var all []group
	for _, c := range cases {
		found, err := testbed.Find(c.Faults)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", c.Name, err)
		}
		g := group{order: c.Order, docker: c.DockerFrom, ipv6: c.IPv6, environments: c.Environments}
		if subset(c.Environments, environments()) {
			g.environments = environments()
		}
		var key []string
		for _, f := range found {
			if f.AtStart() {
				g.atStart = append(g.atStart, f)
				key = append(key, f.Name)
			}
		}
		slices.Sort(key)
		g.key = strings.Join(append([]string{strings.TrimSuffix(string(c.Order)+"@"+string(c.DockerFrom), "@")}, key...), "+")
		if c.IPv6 {
			g.key += "+ipv6"
		}
		if !subset(c.Environments, environments()) {
			g.key += "@" + g.environments[len(g.environments)-1]
		}
		i := slices.IndexFunc(all, func(o group) bool {
			return o.key == g.key && slices.Equal(o.environments, g.environments) && len(o.cases) < mostCases
		})
		if i < 0 {
			all, i = append(all, g), len(all)
		}
		all[i].cases = append(all[i].cases, c)
	}
	// The long ones first: short ones fill the end.
	slices.SortStableFunc(all, func(a, b group) int { return cmp.Compare(len(b.cases), len(a.cases)) })
	return all, nil
}

// mostCases is how many one runner is used for: several runners share the work.
const mostCases = 6

func subset(of, all []string) bool {
	return !slices.ContainsFunc(of, func(e string) bool { return !slices.Contains(all, e) })
}
