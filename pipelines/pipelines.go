// Package pipelines runs the comparison on a Dagger engine: Docker-in-Docker and
// plain containers directly on it, or the whole simulated runner inside one exec.
package pipelines

import (
	"fmt"
	"strconv"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/images"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/pipelines/plan"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/simulate"
)

// Options are what the functions of the module share.
type Options struct {
	Images images.Builder
	// Internet is plan.Live or plan.Simulated.
	Internet string
	// Targets is a target set of the caller's; nil means the one that goes with Internet.
	Targets *dagger.File
	// Platform decides what is expected to fail; auto looks at the machine.
	Platform string
	Method   string
	Version  string
	// Mirrors are URLs that stand in for Docker Hub in Docker-in-Docker.
	Mirrors []string
	// InnerImage is the image of containers inside, FirstImage that of the first.
	InnerImage, FirstImage string
	Retries                int
	// Scenarios are tried in the guests of the simulated runner or of an LXD.
	Scenarios []string
	// Faults break the simulated runner.
	Faults []string
	// DockerFrom is the suite of Debian whose Docker it has; empty for the image's own.
	DockerFrom string
	// Emulated makes the simulated runner a machine of its own.
	Emulated bool
}

const (
	outPath     = "/out"
	targetsPath = "/etc/nestlab/targets.yaml"
	// The simulated internet's name as a service.
	internetAlias = "internet"
	aptSource     = "deb [trusted=yes] http://archive.lab.test/debian bookworm main"
)

// Dind runs the suite in Docker-in-Docker at one moment, and in a container of
// its daemon. It returns the directory of the run.
func (o Options) Dind(moment string) *dagger.Directory {
	ctr := o.Images.Plain()
	if moment == dind.BuildTime {
		ctr = o.Images.Dind(o.Method, o.Version)
	}
	args := []string{
		dind.BinaryPath, "dind", "run", "--moment", moment, "--method", o.Method, "--internet", o.Internet,
		"--platform", o.platform(), "--out", outPath, "--retries", strconv.Itoa(o.Retries),
		"--inner-image", o.innerImage(), "--first-image", o.firstImage(),
	}
	if o.Version != "" {
		args = append(args, "--docker-version", o.Version)
	}
	if o.Internet == plan.Simulated {
		args = append(args, "--source", aptSource)
	}
	for _, m := range o.Mirrors {
		args = append(args, "--registry-mirror", m)
	}
	return o.observe(ctr.WithMountedTemp("/var/lib/docker"), false, args...)
}

// Container runs the suite in a plain container of the engine.
func (o Options) Container() *dagger.Directory {
	return o.observe(o.Images.Plain(), true,
		dind.BinaryPath, "probe", "--environment", model.EnvContainer, "--suite", "network", "--suite", "packages",
		"--platform", o.platform(), "--retries", strconv.Itoa(o.Retries), "--out", outPath)
}

// observe runs a command that writes a run. It is never answered from the
// engine's cache, and its files are kept whatever its exit code is.
func (o Options) observe(ctr *dagger.Container, unprivileged bool, args ...string) *dagger.Directory {
	exec := dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, InsecureRootCapabilities: !unprivileged}
	ctr = ctr.WithDirectory(outPath, o.Images.Dag.Directory())
	switch {
	case o.Internet == plan.Simulated:
		enter := []string{dind.BinaryPath, "enter", "--internet", internetAlias, "--targets", targetsPath}
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
		args = append(args, "--targets", "live")
	}
	return ctr.WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable(errorVariable, outPath+"/"+ErrorFile).
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
			dind.BinaryPath, "world", "internet", "--quiet", "--single-address", "--apt-repo", assets + "/apt", "--ca-out", "/run/nestlab-ca.crt",
			"--image", "library/debian:bookworm=" + assets + "/base.tar",
		},
		InsecureRootCapabilities: true,
	})
}

func (o Options) platform() string {
	if o.Internet == plan.Simulated {
		return "simulated"
	}
	return o.Platform
}

func (o Options) innerImage() string {
	if o.Internet == plan.Simulated {
		return "registry.lab.test/library/debian:bookworm"
	}
	return o.InnerImage
}

func (o Options) firstImage() string {
	if o.Internet == plan.Simulated {
		return "registry.lab.test/library/hello:1"
	}
	return o.FirstImage
}

// Simulate runs the whole comparison in the simulated runner.
func (o Options) Simulate(order string, environments []string, intervene bool) *dagger.Directory {
	args := []string{
		dind.BinaryPath, "simulate", "--order", order, "--assets", images.AssetsPath, "--out", outPath,
		"--state", statePath, "--retries", strconv.Itoa(o.Retries), fmt.Sprintf("--intervene=%t", intervene),
	}
	for _, e := range environments {
		args = append(args, "--environments", e)
	}
	for _, f := range o.Faults {
		args = append(args, "--faults", f)
	}
	for _, s := range o.Scenarios {
		args = append(args, "--scenarios", s)
	}
	if o.Emulated {
		args = append(args, "--runner", simulate.Emulated, "--machine", images.MachinePath)
	}
	if o.DockerFrom == "" {
		return o.inRunner(args)
	}
	return o.inRunner(append(args, "--docker-from", o.DockerFrom), o.DockerFrom)
}

// Accuracy measures the diagnosis in simulated runners, of all cases or of those
// that fit a pattern. Suites are those whose Docker they need.
func (o Options) Accuracy(cases, suites []string) *dagger.Directory {
	args := []string{dind.BinaryPath, "accuracy", "--assets", images.AssetsPath, "--out", outPath, "--state", statePath}
	for _, c := range cases {
		args = append(args, "--cases", c)
	}
	if o.Emulated {
		args = append(args, "--runner", simulate.Emulated, "--machine", images.MachinePath)
	}
	return o.inRunner(args, suites...)
}

// inRunner runs nestlab where a simulated runner can be made, with the Docker of
// these suites too.
func (o Options) inRunner(args []string, suites ...string) *dagger.Directory {
	runner := o.Images.Runner(suites...)
	if o.Emulated {
		runner = o.Images.EmulatedRunner(suites...)
	}
	if scenario.NeedStockKernel(o.Scenarios) {
		runner = o.Images.WithStockGuest(runner)
	}
	// The emulated one's disk is a file, which may grow beyond what goes into memory.
	if !o.Emulated {
		// Docker's overlay2 cannot stand on the exec's own overlay.
		runner = runner.WithMountedTemp(statePath)
	}
	return runner.
		WithDirectory(outPath, o.Images.Dag.Directory()).
		WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable(errorVariable, outPath+"/"+ErrorFile).
		WithExec(args, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, InsecureRootCapabilities: true}).
		Directory(outPath)
}

const statePath = "/var/lib/nestlab-simulate"
