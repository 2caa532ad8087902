package probe

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed targets/*.yaml
var builtin embed.FS

// The names of the built-in target sets.
const (
	TargetsLive      = "live"      // the internet's package and image sources
	TargetsSimulated = "simulated" // the simulated runner's own internet, *.lab.test
)

// BuiltinNames lists the built-in target sets.
func BuiltinNames() []string { return []string{TargetsLive, TargetsSimulated} }

// Builtin returns the built-in target set of that name.
func Builtin(name string) (*Targets, error) {
	for _, known := range BuiltinNames() {
		if name != known {
			continue
		}
		f, err := builtin.Open("targets/" + name + ".yaml")
		if err != nil {
			return nil, fmt.Errorf("open built-in target set %s: %w", name, err)
		}
		t, err := ParseTargets(f)
		if err != nil {
			return nil, fmt.Errorf("built-in target set %s: %w", name, err)
		}
		return t, f.Close()
	}
	return nil, fmt.Errorf("unknown target set %q; built in: %s; or give a YAML file", clip(name), strings.Join(BuiltinNames(), ", "))
}
