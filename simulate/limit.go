package simulate

import (
	"slices"

	"github.com/nestlab/nestlab/session"
)

// limited is an environment of which only some suites are wanted.
type limited struct {
	session.Environment
	suites []string
}

// Suites implements session.Environment.
func (l limited) Suites() []string {
	return slices.DeleteFunc(slices.Clone(l.Environment.Suites()), func(s string) bool { return !slices.Contains(l.suites, s) })
}

// Unwrap implements session.Wrapper.
func (l limited) Unwrap() session.Environment { return l.Environment }

// limit keeps of the lanes what the session asks for.
func (s Session) limit(lanes [][]session.Environment) [][]session.Environment {
	var kept [][]session.Environment
	for _, lane := range lanes {
		var mine []session.Environment
		for _, env := range lane {
			if len(s.Environments) > 0 && !slices.Contains(s.Environments, env.Place().Environment) {
				continue
			}
			if len(s.Suites) > 0 {
				env = limited{env, s.Suites}
			}
			mine = append(mine, env)
		}
		if len(mine) > 0 {
			kept = append(kept, mine)
		}
	}
	return kept
}
