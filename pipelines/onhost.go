package pipelines

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/nestlab/nestlab/images"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
)

// Machine is one that a Docker daemon runs on, reached by nothing but the daemon's socket.
type Machine struct {
	Options
	Docker *dagger.Socket
}

const dockerSocketPath = "/run/nestlab/docker.socket"

// Doctor examines it. It returns the directory of the run.
func (m Machine) Doctor(ctx context.Context, d spec.Doctor) (*dagger.Directory, error) {
	if err := m.Check(ctx, d, spec.Live); err != nil {
		return nil, err
	}
	args := []string{"doctor", "--json", "--verbose", "--fail-on", "never", "--guests", strconv.Itoa(d.Guests),
		"--no-intervene=" + strconv.FormatBool(!d.Intervene), "--fix=" + strconv.FormatBool(d.Fix)}
	for _, b := range d.Bridges {
		args = append(args, "--bridge="+b)
	}
	return m.run(model.RunFile, "", args...), nil
}

// control probes it, as `nestlab probe` on the machine itself does. What takes a container
// of the machine's Docker is left out: it would have the binary from there.
func (m Machine) control(c spec.Compare) (*dagger.Directory, error) {
	if c.Internet == spec.Simulated {
		return nil, errors.New("--docker and --internet simulated exclude each other: the machine itself is in no simulated internet")
	}
	return m.run(model.JournalFile, string(spec.Live), "probe", "--environment", model.EnvRunner, "--suite", model.SuiteNetwork, "--platform", c.On(), "--retries", strconv.Itoa(c.Retries)), nil
}

// run runs nestlab there, and keeps what it prints.
func (m Machine) run(file, targets string, args ...string) *dagger.Directory {
	ctr := m.Images.Plain().WithUnixSocket(dockerSocketPath, m.Docker)
	if m.Targets != nil {
		ctr, targets = ctr.WithMountedFile(targetsPath, m.Targets), targetsPath
	}
	command := []string{spec.BinaryPath, "on-host", "--docker", dockerSocketPath, "--out", outPath + "/" + file}
	if targets != "" {
		command = append(command, "--targets", targets)
	}
	return ctr.WithDirectory(outPath, m.Images.Dag.Directory()).
		WithEnvVariable("NESTLAB_RUN", images.Buster()).
		WithEnvVariable(errorVariable, outPath+"/"+model.ErrorFile).
		WithExec(slices.Concat(command, []string{"--"}, args), dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}).
		Directory(outPath)
}
