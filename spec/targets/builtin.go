package targets

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed sets/*.yaml
var builtin embed.FS

// The names of the built-in target sets.
const (
	Live      = "live"      // the internet's package and image sources
	Doctor    = "doctor"    // few of the internet's, for a host in a hurry
	Simulated = "simulated" // the simulated runner's own internet, *.lab.test
)

// Names lists the built-in target sets.
func Names() []string { return []string{Live, Doctor, Simulated} }

// Builtin returns the built-in target set of that name.
func Builtin(name string) (*Set, error) {
	for _, known := range Names() {
		if name != known {
			continue
		}
		f, err := builtin.Open("sets/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("open built-in target set %s: %w", name, err)
		}
		t, err := Parse(f)
		if err != nil {
			return nil, fmt.Errorf("built-in target set %s: %w", name, err)
		}
		return t, f.Close()
	}
	return nil, fmt.Errorf("unknown target set %q; built in: %s; or give a YAML file", Clip(name), strings.Join(Names(), ", "))
}

// Internet says which internet a target set is for, live or simulated: only the built-in
// simulated one has names that exist nowhere else.
func (t *Set) Internet() string {
	if t.Name == Simulated {
		return Simulated
	}
	return Live
}
