package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/spec/selection"
)

// Accuracy asks how often the diagnosis is right, of simulated runners broken on purpose.
type Accuracy struct {
	// Cases are patterns of names; none means all.
	Cases []string `json:"cases,omitempty"`
	// Runner is the form of the runners, which decides which cases there are.
	Runner RunnerKind `json:"runner"`
	// Parallel is how many runners are at work at a time.
	Parallel int `json:"parallel"`
	// Resume leaves out the cases whose results are there already.
	Resume bool `json:"resume"`
}

// NewAccuracy is a request with the defaults.
func NewAccuracy() Accuracy { return Accuracy{Runner: Namespaced, Parallel: 3} }

// Command implements Request.
func (Accuracy) Command() Command { return CommandAccuracy }

// Validate implements Request.
func (a Accuracy) Validate() error {
	_, err := a.Selected()
	if a.Parallel < 1 {
		err = errors.Join(err, fmt.Errorf("%d runners at a time: give 1 or more", a.Parallel))
	}
	return err
}

// Selected lists the names of the cases that are asked for.
func (a Accuracy) Selected() ([]string, error) {
	if err := Check(a.Runner); err != nil {
		return nil, err
	}
	all, err := CaseNames(a.Runner)
	if err != nil {
		return nil, err
	}
	pattern, missed, err := selection.Misses(all, a.Cases)
	if missed {
		return nil, fmt.Errorf("no case fits %s: list them with nestlab accuracy --list", pattern)
	}
	var kept []string
	for _, name := range all {
		keep, failed := selection.Selected(name, a.Cases)
		if err = errors.Join(err, failed); keep {
			kept = append(kept, name)
		}
	}
	if err == nil && len(kept) == 0 {
		err = fmt.Errorf("nothing is left to run: no case fits %s", strings.Join(a.Cases, ", "))
	}
	return kept, err
}

// CaseNames lists the cases of a form of the runner.
func CaseNames(r RunnerKind) ([]string, error) {
	var all []string
	for line := range strings.Lines(caseNames) {
		if form, name, _ := strings.Cut(strings.TrimSpace(line), " "); RunnerKind(form) == r {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no case of the runner %q", r)
	}
	return all, nil
}

// DockerSuites are those whose Docker the cases need, beside the installed one: a case's
// name has its suite after an @.
func (a Accuracy) DockerSuites() ([]DockerSuite, error) {
	selected, err := a.Selected()
	if err != nil {
		return nil, err
	}
	var all []DockerSuite
	for _, s := range DockerSuite("").Values() {
		if slices.ContainsFunc(selected, func(name string) bool {
			order, _, _ := strings.Cut(name, "+")
			return slices.Contains(strings.Split(order, "@")[1:], string(s))
		}) {
			all = append(all, s)
		}
	}
	return all, nil
}
