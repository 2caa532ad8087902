package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	daggerModule = "github.com/dagger/dagger"
	modulePath   = "github.com/nestlab/nestlab/engine"
)

// binaries are upstream's commands, in the order of their weight: the engine
// first, so that a failure shows early.
var binaries = []string{"engine", "codegen", "init", "dnsname", "dagger"}

// sourceDir is this module's directory, where the versions are pinned.
func sourceDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the engine module: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.HasPrefix(string(b), "module "+modulePath+"\n") {
		return "", errors.New("the working directory is not the engine module: run this in the repository's engine/ directory (make engine does)")
	}
	return dir, nil
}

// binary is the recipe of one of upstream's commands.
func (c cache) binary(name, source string, g goSettings) (artifact, error) {
	args := []string{"build", "-mod=readonly", "-trimpath",
		"-ldflags", fmt.Sprintf("-s -w -X %[1]s/engine.Version=%[2]s -X %[1]s/engine.Tag=%[2]s", daggerModule, daggerVersion)}
	parts := append([]string{"binary", name, g.GOVERSION, g.GOARCH}, args...)
	for _, f := range []string{"go.mod", "go.sum", "distconsts/consts.go"} {
		b, err := os.ReadFile(filepath.Join(source, f))
		if err != nil {
			return artifact{}, fmt.Errorf("read what pins the engine's version: %w", err)
		}
		parts = append(parts, string(b))
	}
	return artifact{
		name:  "binary-" + name,
		title: "compile " + name + " " + daggerVersion,
		paths: []string{"bin/" + name},
		key:   recipe(parts...),
		build: func(ctx context.Context, tmp string) error {
			cmd := newCommand(ctx, "go", append(args, "-o", filepath.Join(tmp, name), daggerModule+"/cmd/"+name)...)
			cmd.Dir = source
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false",
				"GOWORK=off", "GOPROXY="+g.GOPROXY)
			return c.run("binaries", cmd)
		},
	}, nil
}

// compile makes all binaries and gives their digests by name.
func (c cache) compile(ctx context.Context, out *progress, source string, g goSettings) (map[string]string, error) {
	digests := map[string]string{}
	for _, name := range binaries {
		a, err := c.binary(name, source, g)
		if err != nil {
			return nil, err
		}
		if digests[name], err = c.ensure(ctx, out, a); err != nil {
			return nil, err
		}
	}
	return digests, nil
}
