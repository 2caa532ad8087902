// Package spec holds what a user asks nestlab for: the requests, their defaults, one
// validation, one resolution to a plan and one encoding. The Dagger module, the command
// line and the processes that nestlab starts pass the same values. It is pure, and not to
// be imported by what diagnoses: it knows the names of the faults.
package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Request is one of the requests of this package.
type Request interface {
	// Command names what runs it.
	Command() Command
	// Validate checks the request before anything runs.
	Validate() error
}

// Planned is a request whose run has a plan.
type Planned interface {
	Request
	// Plan resolves patterns and defaults to what will run.
	Plan() (model.Plan, error)
}

// value is a value of a closed set of words.
type value[T any] interface {
	~string
	// Values lists the set, the default first where there is one.
	Values() []T
	// kind is what a value is called in errors.
	kind() string
}

// Check says why a value is not of its set; nil where it is.
func Check[T value[T]](v T) error {
	if slices.Contains(v.Values(), v) {
		return nil
	}
	return fmt.Errorf("unknown %s %q: use one of %s", v.kind(), v, List(v.Values()))
}

// List joins the values of a set for help and errors.
func List[T ~string](values []T) string {
	var words []string
	for _, v := range values {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}

func checkRetries(n int) error {
	if n < 0 || n > model.MaxRetries {
		return fmt.Errorf("%d retries: give 0 to %d", n, model.MaxRetries)
	}
	return nil
}
