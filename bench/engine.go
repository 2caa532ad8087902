package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"dagger.io/dagger"
)

// measureInRunner runs the inside part in a simulated runner on the engine.
func measureInRunner(ctx context.Context, o options, progress io.Writer) (m measured, err error) {
	binaries, err := build(ctx)
	if err != nil {
		return m, err
	}
	client, err := connect(ctx, progress)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	const state = "/var/lib/nestlab-bench"
	args := append([]string{nestlabPath, "world", "run", "--state", state, "--", benchPath}, o.insideArgs()...)
	text, err := tools(client, o.base).
		WithFile(nestlabPath, client.Host().File(filepath.Join(binaries, "nestlab"))).
		WithFile(benchPath, client.Host().File(filepath.Join(binaries, "bench"))).
		WithMountedTemp(state).
		WithEnvVariable("NESTLAB_RUN", time.Now().UTC().Format(time.RFC3339Nano)).
		WithExec(args, dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Stdout(ctx)
	if err != nil {
		return m, fmt.Errorf("measure in the simulated runner: %w", withOutput(err))
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("read what was measured in the simulated runner: %w", err)
	}
	return m, nil
}

// withOutput adds what a failed command wrote, which its error leaves out.
func withOutput(err error) error {
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		return fmt.Errorf("%w:\n%s", err, failed.Stderr)
	}
	return err
}

// connect opens a session with the CLI on PATH.
func connect(ctx context.Context, log io.Writer) (*dagger.Client, error) {
	const variable = "_EXPERIMENTAL_DAGGER_CLI_BIN"
	if os.Getenv(variable) == "" {
		cli, err := exec.LookPath("dagger")
		if err != nil {
			return nil, fmt.Errorf("find the dagger CLI; run make bench, or set up this shell with eval \"$(make -s engine-env)\": %w", err)
		}
		// Without it the SDK would go looking for a CLI on the network.
		if err := os.Setenv(variable, cli); err != nil {
			return nil, fmt.Errorf("name the dagger CLI: %w", err)
		}
	}
	client, err := dagger.Connect(ctx, dagger.WithLogOutput(log))
	if err != nil {
		return nil, fmt.Errorf("connect to the engine: %w", err)
	}
	return client, nil
}

// tools is what both sides need: Docker, and the tools that people would use.
func tools(client *dagger.Client, base string) *dagger.Container {
	return client.Container().From(base).
		WithEnvVariable("DEBIAN_FRONTEND", "noninteractive").
		WithExec([]string{"apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"}).
		WithExec([]string{
			"apt-get", "-q", "install", "--yes", "--no-install-recommends",
			"docker.io", "iptables", "nftables", "iproute2", "ca-certificates",
			"bind9-dnsutils", "curl", "iputils-ping", "netcat-openbsd",
		}).
		WithoutEnvVariable("DEBIAN_FRONTEND")
}

// build makes the two programs, static, for the engine's containers, with the Go
// toolchain that runs this one.
func build(ctx context.Context) (string, error) {
	dir, err := filepath.Abs(filepath.Join("out", "bench-bin"))
	if err != nil {
		return "", fmt.Errorf("find the directory for the programs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the directory for the programs: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-o", dir+string(filepath.Separator), "./cmd/nestlab", "./bench")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nestlab (from the repository's root?): %w:\n%s", err, bytes.TrimSpace(out))
	}
	return dir, nil
}
