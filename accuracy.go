package main

import (
	"context"

	"github.com/nestlab/nestlab/accuracy"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
)

// Accuracy breaks simulated runners on purpose, has each diagnosed, and counts
// how often the diagnosis is right. It gives accuracy.json, accuracy.txt and the
// run of every case.
//
// +cache="never"
func (m *Nestlab) Accuracy(
	ctx context.Context,
	// Cases to run, as names or patterns such as healthy* (repeatable; default all).
	// +optional
	cases []string,
) (*dagger.Directory, error) {
	selected, err := accuracy.Select(accuracy.Cases(), cases)
	if err != nil {
		return nil, err
	}
	dir, err := pipelines.Options{Images: m.images()}.Accuracy(cases, accuracy.DockerSuites(selected)).Sync(ctx)
	if err != nil {
		return nil, carried(err)
	}
	return dir, nil
}
