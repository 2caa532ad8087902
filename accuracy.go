package main

import (
	"context"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
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
	a := spec.NewAccuracy()
	a.Cases, a.Runner = cases, spec.RunnerKind(runner)
	if err := a.Validate(); err != nil {
		return nil, err
	}
	dir, err := pipelines.Options{Images: m.images()}.Accuracy(a)
	if err != nil {
		return nil, err
	}
	if dir, err = dir.Sync(ctx); err != nil {
		return nil, carried(err)
	}
	return dir, nil
}
