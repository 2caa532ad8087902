// Tests use nestlab as any other module does: by its name and its functions alone.
package main

import (
	"context"

	"dagger/tests/internal/dagger"
)

// Tests are one function for each thing that a caller's module may rely on.
type Tests struct{}

// Check simulates a runner and gives what its check says.
//
// The engine keeps what a caller's function gave for seven days, whatever that calls:
// what observes has to say so itself.
//
// +cache="never"
func (m *Tests) Check(ctx context.Context) (string, error) {
	return dag.Nestlab().Simulate(dagger.NestlabSimulateOpts{Order: "lxd-first", Environments: []string{"runner"}}).Check(ctx)
}
