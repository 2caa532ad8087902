package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Where the Go SDK's container keeps things; the engine mounts its cache
// volumes over the two caches and takes what is in the image as their start.
const (
	sdkModCache   = "/go/pkg/mod"
	sdkBuildCache = "/root/.cache/go-build"
	sdkPath       = "/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// moduleDir is where the engine mounts a module's source to build it.
	moduleDir = "/src"
	// hostDownloads is where the machine's own module downloads are seen from inside.
	hostDownloads = "/tmp/downloads"
	pinsDir       = "/tmp/pins"
)

// sdkEnv is the environment of the Go SDK's image.
func sdkEnv(g goSettings) []string {
	return []string{
		"PATH=" + sdkPath, "GOPATH=/go", "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false",
		"GOPROXY=" + g.GOPROXY, "GOSUMDB=" + g.GOSUMDB,
	}
}

// sdkLayer is the recipe of the layer that makes the engine's Debian root the
// Go SDK's image: Go, codegen and warm caches. It is keyed on Go and Dagger
// only. What the repository needs is warmed as it is on the day the layer is
// made; a later go.mod changes nothing here, as the engine's cache volumes
// take over from the first call on.
func (c cache) sdkLayer(source, codegen, rootDigest string, g goSettings) artifact {
	return artifact{
		name:  "sdk",
		title: "build the Go SDK's layer, with warm caches",
		paths: []string{"sdk/layer.tar"},
		key:   recipe(append([]string{"sdk 1", daggerVersion, g.GOVERSION, g.GOARCH, codegen, rootDigest}, sdkEnv(g)...)...),
		build: func(ctx context.Context, tmp string) error {
			upper := filepath.Join(tmp, "upper")
			for _, d := range []string{"usr/local/bin", "usr/local/go", sdkModCache, sdkBuildCache} {
				if err := os.MkdirAll(filepath.Join(upper, d), 0o755); err != nil {
					return err
				}
			}
			if err := c.putGo(ctx, upper, g); err != nil {
				return err
			}
			if err := copyInto(filepath.Join(upper, "usr/local/bin/codegen"), c.bin("codegen")); err != nil {
				return err
			}
			if err := c.warm(ctx, source, upper, g); err != nil {
				return err
			}
			// Only these three: etc, var and tmp hold what the mounts have left.
			cmd := newCommand(ctx, "tar", "--create", "--numeric-owner", "--sort=name",
				"--file", filepath.Join(tmp, "layer.tar"), "--directory", upper, "usr", "go", "root")
			return c.run("sdk", cmd)
		},
	}
}

// putGo copies the machine's Go, without what no build needs.
func (c cache) putGo(ctx context.Context, upper string, g goSettings) error {
	to := filepath.Join(upper, "usr/local/go")
	cmd := newCommand(ctx, "cp", "--recursive", "--dereference", "--preserve=mode,timestamps", g.GOROOT+"/.", to)
	if err := c.run("sdk", cmd); err != nil {
		return err
	}
	for _, d := range []string{"api", "doc", "test"} {
		if err := os.RemoveAll(filepath.Join(to, d)); err != nil {
			return err
		}
	}
	return nil
}

// warm fills the layer's module and build caches: with the SDK's own
// dependencies, which every module has, and with those of this repository.
func (c cache) warm(ctx context.Context, source, upper string, g goSettings) error {
	mounts := []string{source + ":" + pinsDir}
	proxy := g.GOPROXY
	downloads := filepath.Join(g.GOMODCACHE, "cache/download")
	if _, err := os.Stat(downloads); err == nil {
		mounts = append(mounts, downloads+":"+hostDownloads)
		proxy = "file://" + hostDownloads + "," + proxy
	}
	repo, err := repository(source)
	if err != nil {
		return err
	}
	if repo != "" {
		mounts = append(mounts, repo+":"+moduleDir)
	}
	sdk := sdkModCache + "/dagger.io/dagger@" + daggerVersion
	steps := []struct{ dir, args string }{
		{pinsDir, "mod download dagger.io/dagger"},
		{sdk, "list -export -compiled -deps ."},
	}
	if repo != "" {
		// A package that does not compile today (-e) only leaves its dependencies cold.
		steps = append(steps, struct{ dir, args string }{moduleDir, "list -e -export -compiled -deps ./..."})
	}
	for _, s := range steps {
		args := append([]string{"go", "-C", s.dir}, strings.Fields(s.args)...)
		if err := c.inLayer(ctx, upper, mounts, append(sdkEnv(g), "GOPROXY="+proxy, "HOME=/root"), args); err != nil {
			return fmt.Errorf("warm the SDK's caches: %w", err)
		}
	}
	return nil
}

// inLayer runs a command in the engine's root with upper on top, so that what
// the command writes lands in upper.
func (c cache) inLayer(ctx context.Context, upper string, mounts, env, args []string) error {
	cmd := newCommand(ctx, "/proc/self/exe", append([]string{"in-overlay", c.path("engine-root"), upper}, mounts...)...)
	cmd.Args = append(append(cmd.Args, "--"), args...)
	cmd.Env = append(env, proxyEnv(os.LookupEnv)...)
	cmd.SysProcAttr.Unshareflags = newMountNamespace
	return c.run("sdk", cmd)
}

// repository is the Go module that the engine module lies in, empty if there is none.
func repository(source string) (string, error) {
	dir := filepath.Dir(source)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for the repository's go.mod: %w", err)
	}
	return dir, nil
}
