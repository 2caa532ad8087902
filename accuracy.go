package main

import (
	"context"

	"github.com/nestlab/nestlab/accuracy"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/simulate"
)

// Accuracy counts how often the diagnosis of runners broken on purpose is right.
// It gives accuracy.json, accuracy.txt and the run of every case.
//
// +cache="never"
func (m *Nestlab) Accuracy(
	ctx context.Context,
	// Cases to run, as names or patterns such as healthy* (repeatable; default all).
	// +optional
	cases []string,
	// namespaced (on the engine's kernel, the default), or emulated: the cases of LXD's virtual machine, in a machine of its own, many minutes each.
	// +default="namespaced"
	runner string,
) (*dagger.Directory, error) {
	all, err := accuracy.CasesOf(runner)
	if err != nil {
		return nil, err
	}
	selected, err := accuracy.Select(all, cases)
	if err != nil {
		return nil, err
	}
	dir, err := pipelines.Options{Images: m.images(), Emulated: runner == simulate.Emulated}.Accuracy(cases, accuracy.DockerSuites(selected)).Sync(ctx)
	if err != nil {
		return nil, carried(err)
	}
	return dir, nil
}
