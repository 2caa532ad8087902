// nestlab tells what works inside the environments nested in a CI runner
// (Docker-in-Docker, LXD, virtual machines), compared with the runner itself, and
// proves why the rest does not.
//
// Start with `dagger call simulate table`: it runs everything in a simulated
// runner with an internet of its own, and changes nothing outside.
//
// The engine caches what a function gives for seven days, keyed by its arguments and,
// for a function of an object, by the call that made the object. So each function that
// hands out what was observed has the pragma cache="never", also on a returned object;
// e2e's TestFunctions names the functions that may be cached and calls every one twice.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nestlab/nestlab/images"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
)

// Nestlab compares the environments nested in a CI runner.
type Nestlab struct {
	// +private
	Base string
	// +private
	GoImage string
	// +private
	GoProxy string
	// +private
	AptSources []string
	// +private
	RegistryMirrors []string
}

// New sets what all functions build from.
func New(
	// Image of Debian, or a relative with apt, that containers are built from.
	// +default="debian:bookworm"
	base string,
	// Image with a Go toolchain that builds the one static binary.
	// +default="golang:1"
	goImage string,
	// GOPROXY for that build; empty keeps the image's own setting.
	// +optional
	goProxy string,
	// Lines of sources.list to use instead of the base image's own (repeatable).
	// +optional
	aptSources []string,
	// URLs of mirrors that Docker-in-Docker asks instead of Docker Hub (repeatable).
	// +optional
	registryMirrors []string,
) *Nestlab {
	return &Nestlab{
		Base: base, GoImage: goImage, GoProxy: goProxy, AptSources: aptSources, RegistryMirrors: registryMirrors,
	}
}

func (m *Nestlab) images() images.Builder {
	return images.Builder{
		Dag: dag, Source: dag.CurrentModule().Source(), Base: m.Base, Go: m.GoImage,
		GoProxy: m.GoProxy, AptSources: m.AptSources,
	}
}

// Plan prints what a command would run, and runs nothing.
func (m *Nestlab) Plan(
	// The command to plan: simulate, compare, build-time, runtime or vm.
	// +default="simulate"
	command string,
	// live or simulated, for compare, build-time and runtime; live if empty.
	// +optional
	internet string,
	// How Docker is installed, for compare, build-time and runtime: distro or docker-ce.
	// +optional
	method string,
	// Environments to run, as names or patterns, for simulate and vm; !PATTERN leaves out (repeatable; default all).
	// +optional
	environments []string,
	// Scenarios to try in guests, for simulate and vm, as docs/scenarios.md lists them: names, families or patterns; !PATTERN leaves out (repeatable; default none).
	// +optional
	scenarios []string,
	// Form of a simulation's runner, as simulate has it: namespaced or emulated.
	// +optional
	runner string,
) (string, error) {
	p, err := spec.Question{
		Command: spec.Command(command), Internet: spec.Internet(internet), Method: spec.Method(method),
		Environments: environments, Scenarios: scenarios, Runner: spec.RunnerKind(runner),
	}.Plan()
	if err != nil {
		return "", err
	}
	return report.Plan(p), nil
}

// BuildTime probes Docker-in-Docker, Docker installed when its image was built.
// It and a container of its daemon run directly on this engine.
//
// +cache="never"
func (m *Nestlab) BuildTime(
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
	// How Docker is installed: distro, or docker-ce for the vendor's packages; dind has the other methods.
	// +default="distro"
	method string,
	// Version of the Docker package; the newest if empty.
	// +optional
	version string,
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
	setup := m.setup(internet, platform, method, innerImage, firstImage, retries)
	return m.probeDind(ctx, setup, spec.BuildTime, version, targets)
}

// Runtime probes Docker-in-Docker, Docker installed when it already ran.
// It and a container of its daemon run directly on this engine.
//
// +cache="never"
func (m *Nestlab) Runtime(
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
	// How Docker is installed: distro, or docker-ce for the vendor's packages; dind has the other methods.
	// +default="distro"
	method string,
	// Version of the Docker package; the newest if empty.
	// +optional
	version string,
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
	setup := m.setup(internet, platform, method, innerImage, firstImage, retries)
	return m.probeDind(ctx, setup, spec.Runtime, version, targets)
}

func (m *Nestlab) setup(internet, platform, method, innerImage, firstImage string, retries int) spec.Setup {
	return spec.Setup{
		Internet: spec.Internet(internet), Platform: spec.Platform(platform), Origin: spec.Origin{Method: spec.Method(method)},
		InnerImage: innerImage, FirstImage: firstImage, Mirrors: m.RegistryMirrors, Retries: retries,
	}
}

func (m *Nestlab) probeDind(ctx context.Context, setup spec.Setup, phase spec.Phase, version string, targets *dagger.File) (*Run, error) {
	d := spec.NewDind()
	d.Setup, d.Phase, d.Version = setup, phase, version
	o := pipelines.Options{Images: m.images(), Targets: targets}
	if err := o.Check(ctx, d, d.Internet); err != nil {
		return nil, err
	}
	dir, err := o.Dind(d)
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}

// Compare puts a container, Docker-in-Docker and the machine itself side by side.
// The control is taken by way of the machine's Docker, or the binary took it on the runner
// (results); without either a container and Docker-in-Docker are compared.
//
// +cache="never"
func (m *Nestlab) Compare(
	ctx context.Context,
	// live, or simulated for a simulated internet bound as a service.
	// +default="live"
	internet string,
	// Directory with results of other places (run.json or journal.jsonl, in subdirectories too).
	// +optional
	results *dagger.Directory,
	// Socket of the Docker daemon of the machine to take the control on, such as /var/run/docker.sock: there a container sees the machine itself.
	// +optional
	docker *dagger.Socket,
	// Target set to probe instead of the internet's own.
	// +optional
	targets *dagger.File,
	// azure, github-hosted or unknown decide what is expected to fail; auto looks at the machine.
	// +default="auto"
	platform string,
	// How Docker is installed: distro, or docker-ce for the vendor's packages; dind has the other methods.
	// +default="distro"
	method string,
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
	c := spec.Compare{Setup: m.setup(internet, platform, method, innerImage, firstImage, retries)}
	o := pipelines.Options{Images: m.images(), Targets: targets}
	if err := o.Check(ctx, c, c.Internet); err != nil {
		return nil, err
	}
	dir, err := o.Compare(ctx, c, results, docker)
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}

// HostStep is the one static binary, for what only the host can do.
// Run `nestlab probe --environment runner` there for the control of a comparison,
// `nestlab vm run` for virtual machines, `nestlab remedy` for the fix.
func (m *Nestlab) HostStep() *dagger.File { return m.images().Binary() }

// Runner is the container that the simulated runner is made in, nothing started.
// Docker, LXD and QEMU are installed: run `nestlab testbed run -- COMMAND` in it,
// with root capabilities and a temp mount for --state, to try things on real daemons.
// docs/usage.md has an example: dockerd and lxd are started by hand in it.
func (m *Nestlab) Runner(
	// Suite of Debian whose Docker it has too, in /opt/nestlab/docker/SUITE, to be put first on PATH: bookworm (20.10), trixie (26.1) or sid (28 or later); the base image's own alone if empty.
	// +optional
	dockerFrom string,
) (*dagger.Container, error) {
	if dockerFrom == "" {
		return m.images().Runner(), nil
	}
	suite := spec.DockerSuite(dockerFrom)
	if err := spec.Check(suite); err != nil {
		return nil, err
	}
	return m.images().Runner(suite), nil
}

// carried says why a run could not be carried out, with the end of what the
// failed command printed.
func carried(err error) error {
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		return fmt.Errorf("run nestlab: %v\n%s", err, tail.Text(failed.Stderr, 2<<10))
	}
	return fmt.Errorf("run nestlab: %v", err)
}
