package spec

import (
	_ "embed" // the names
	"fmt"
	"slices"
	"strings"
)

// The names of faults and of cases of accuracy are written from where these are made, by
// go test ./testbed/accuracy -run TestNames -update, for what cannot import that.
var (
	//go:embed faults.txt
	faultNames string
	//go:embed cases.txt
	caseNames string
)

// Faults lists the names of the faults.
func Faults() []string { return strings.Fields(faultNames) }

func checkFaults(given []string) error {
	for _, name := range given {
		if !slices.Contains(Faults(), name) {
			return fmt.Errorf("unknown fault %q: the known ones are %s", name, strings.Join(Faults(), ", "))
		}
	}
	return nil
}
