// Package pipelines runs the comparison on a Dagger engine: Docker-in-Docker and
// plain containers directly on it, or the whole simulated runner inside one exec.
package pipelines

import (
	"errors"
	"strconv"

	"github.com/nestlab/nestlab/images"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/spec"
)

// Options are what the functions of the module share, and is no part of a request.
type Options struct {
	Images images.Builder
	// Targets is a target set of the caller's; nil means the internet's own.
	Targets *dagger.File
}

const (
	outPath     = "/out"
	targetsPath = "/etc/nestlab/targets.yaml"
	// The simulated internet's name as a service.
	internetAlias = "internet"
	// requestPath has what is asked for.
	requestPath = "/etc/nestlab/request.json"
)

// withRequest gives a container the request, and nestlab the flag for it.
func withRequest(ctr *dagger.Container, r spec.Request) (*dagger.Container, []string, error) {
	text, err := spec.Encode(r)
	if err != nil {
		return nil, nil, err
	}
	return ctr.WithNewFile(requestPath, string(text)), []string{"--spec", requestPath, "--out", outPath}, nil
}

// Dind runs the suite in Docker-in-Docker at one phase, and in a container of
// its daemon. It returns the directory of the run.
func (o Options) Dind(d spec.Dind) (*dagger.Directory, error) {
	ctr := o.Images.Supplied(o.Images.Plain())
	if d.Phase == spec.BuildTime {
		ctr = o.Images.Dind(d.Origin)
	}
	ctr, args, err := withRequest(ctr.WithMountedTemp("/var/lib/docker"), d)
	if err != nil {
		return nil, err
	}
	return o.observe(ctr, d.Internet, false, append([]string{spec.BinaryPath, "dind", "run"}, args...)...), nil
}

// Container runs the suite in a plain container of the engine.
func (o Options) Container(c spec.Compare) (*dagger.Directory, error) {
	e, ok := spec.FindEnvironment(model.EnvContainer)
	if !ok {
		return nil, errors.New("there is no environment " + model.EnvContainer)
	}
	args := []string{
		spec.BinaryPath, "probe", "--environment", e.Name,
		"--platform", c.On(), "--retries", strconv.Itoa(c.Retries), "--out", outPath,
	}
	for _, suite := range e.Suites {
		args = append(args, "--suite", suite)
	}
	return o.observe(o.Images.Plain(), c.Internet, true, args...), nil
}

// observe runs a command that writes a run. It is never answered from the
// engine's cache, and its files are kept whatever its exit code is.
func (o Options) observe(ctr *dagger.Container, internet spec.Internet, unprivileged bool, args ...string) *dagger.Directory {
	exec := dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, InsecureRootCapabilities: !unprivileged}
	ctr = ctr.WithDirectory(outPath, o.Images.Dag.Directory())
	switch {
	case internet == spec.Simulated:
		enter := []string{spec.BinaryPath, "enter", "--internet", internetAlias, "--targets", targetsPath}
		if unprivileged {
			enter = append(enter, "--unprivileged")
		}
		args = append(append(enter, "--"), append(args, "--targets", targetsPath)...)
		// Entering needs privileges, to name the resolver; it gives them up again.
		exec.InsecureRootCapabilities = true
		ctr = ctr.WithServiceBinding(internetAlias, o.internet())
	case o.Targets != nil:
		ctr = ctr.WithMountedFile(targetsPath, o.Targets)
		args = append(args, "--targets", targetsPath)
	default:
		args = append(args, "--targets", string(spec.Live))
	}
	return ctr.WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable(errorVariable, outPath+"/"+model.ErrorFile).
		WithExec(args, exec).
		Directory(outPath)
}

// internet is the simulated internet as a service.
func (o Options) internet() *dagger.Service {
	const assets = images.AssetsPath
	ctr := o.Images.Plain().WithDirectory(assets, o.Images.Assets())
	for _, port := range []int{53, 80, 443} {
		ctr = ctr.WithExposedPort(port)
	}
	return ctr.AsService(dagger.ContainerAsServiceOpts{
		Args: []string{
			spec.BinaryPath, "world", "internet", "--quiet", "--single-address", "--apt-repo", assets + "/apt", "--ca-out", "/run/nestlab-ca.crt",
			"--image", "library/debian:bookworm=" + assets + "/base.tar",
		},
		InsecureRootCapabilities: true,
	})
}

// Simulate runs the whole comparison in the simulated runner.
func (o Options) Simulate(r spec.Simulation) (*dagger.Directory, error) {
	var suites []spec.DockerSuite
	if r.DockerFrom != "" {
		suites = append(suites, r.DockerFrom)
	}
	return o.inRunner(r, r.Runner, scenario.NeedStockKernel(r.Scenarios), suites...)
}

// Accuracy measures the diagnosis in simulated runners.
func (o Options) Accuracy(a spec.Accuracy) (*dagger.Directory, error) {
	suites, err := a.DockerSuites()
	if err != nil {
		return nil, err
	}
	return o.inRunner(a, a.Runner, false, suites...)
}

// inRunner runs a request where a simulated runner can be made, with the Docker of
// these suites too, and a guest with a stock kernel where that is wanted.
func (o Options) inRunner(r spec.Request, form spec.RunnerKind, stockKernel bool, suites ...spec.DockerSuite) (*dagger.Directory, error) {
	runner := o.Images.Runner(suites...)
	if form == spec.Emulated {
		runner = o.Images.EmulatedRunner(suites...)
	}
	if stockKernel {
		runner = o.Images.WithStockGuest(runner)
	}
	// The emulated one's disk is a file, which may grow beyond what goes into memory.
	if form != spec.Emulated {
		// Docker's overlay2 cannot stand on the exec's own overlay.
		runner = runner.WithMountedTemp(statePath)
	}
	// Not as a file: the simulated runner has this container's, and is not told the faults.
	text, err := spec.Encode(r)
	if err != nil {
		return nil, err
	}
	args := []string{
		spec.BinaryPath, string(r.Command()), "--spec", "-", "--out", outPath,
		"--assets", images.AssetsPath, "--machine", images.MachinePath, "--state", statePath,
	}
	return runner.
		WithDirectory(outPath, o.Images.Dag.Directory()).
		WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable(errorVariable, outPath+"/"+model.ErrorFile).
		WithExec(args, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, InsecureRootCapabilities: true, Stdin: string(text)}).
		Directory(outPath), nil
}

const statePath = "/var/lib/nestlab-simulate"
