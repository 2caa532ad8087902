package main

import (
	"context"
	"errors"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
)

// Run installs Docker as the object says, and probes that Docker-in-Docker and a container
// of its daemon as build-time and runtime do.
//
// +cache="never"
func (d *Dind) Run(
	ctx context.Context,
	// live, or simulated for a simulated internet bound as a service.
	// +default="live"
	internet string,
	// Target set to probe instead of the internet's own.
	// +optional
	targets *dagger.File,
	// azure, github-hosted or unknown decide what is expected to fail; auto looks at the machine.
	// +default="auto"
	platform string,
	// Image of the container that is probed inside; debian:bookworm if empty. The simulated internet has its own.
	// +optional
	innerImage string,
	// Image of the first container, whose start is timed; hello-world if empty. The simulated internet has its own.
	// +optional
	firstImage string,
	// Number of retries after a transient failure; every attempt is kept.
	// +default=0
	retries int,
) (*Run, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	r := spec.NewDind()
	r.Setup = spec.Setup{
		Internet: spec.Internet(internet), Platform: spec.Platform(platform),
		InnerImage: innerImage, FirstImage: firstImage, Retries: retries,
	}
	if r, err = r.Of(docker.Request); err != nil {
		return nil, err
	}
	if len(d.Archives) > 0 {
		return nil, errors.New("an image that was given has no effect on a run, whose daemon begins empty: leave with-image out")
	}
	o := pipelines.Options{Images: docker.Images, Targets: targets}
	if err := o.Check(ctx, r, r.Internet); err != nil {
		return nil, err
	}
	dir, err := o.Dind(r)
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}

// Check does what run does, and fails if anything failed that was not expected to.
//
// +cache="never"
func (d *Dind) Check(
	ctx context.Context,
	// live, or simulated for a simulated internet bound as a service.
	// +default="live"
	internet string,
) (string, error) {
	r, err := d.Run(ctx, internet, nil, string(spec.PlatformAuto), "", "", 0)
	if err != nil {
		return "", err
	}
	return r.Check(ctx)
}

// Build is an image that the daemon builds of a directory with a Dockerfile, to work in or to
// publish. Images of with-image are there for FROM.
//
// +cache="session"
func (d *Dind) Build(ctx context.Context,
	// The directory.
	directory *dagger.Directory,
	// Path of the Dockerfile in it.
	// +default="Dockerfile"
	dockerfile string,
	// Value of an ARG, as NAME=VALUE (repeatable).
	// +optional
	buildArg []string,
	// Stage to build; the last one if empty.
	// +optional
	target string,
) (*dagger.Container, error) {
	docker, err := d.docker()
	if err != nil {
		return nil, err
	}
	return docker.Build(ctx, directory, dockerfile, target, buildArg)
}
