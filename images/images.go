// Package images builds, as code, the images that nestlab hands out and runs in:
// Docker-in-Docker, its base, the simulated runner and what the simulated
// internet serves.
package images

import (
	"strings"
	"time"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
)

// Builder makes images. Its methods are lazy: the engine builds what is used, and
// keeps what it built.
type Builder struct {
	Dag *dagger.Client
	// Source is the module's own source.
	Source *dagger.Directory
	// Base is the image of Debian or a relative that everything starts from, Go
	// one with a Go toolchain.
	Base, Go string
	// AptSources are lines of sources.list that replace the base image's own;
	// empty keeps those.
	AptSources []string
	// GoProxy is handed to the Go toolchain; empty keeps the image's own setting.
	GoProxy string
	// Packages has those of the install method cached, PackageMirror is a service of the
	// caller's that Docker is installed from; nil for none.
	Packages      *dagger.Directory
	PackageMirror *dagger.Service
}

// binaryPath is where the one binary stands in every image.
const binaryPath = spec.BinaryPath

// Binary is the one static binary, built from the module's own source.
func (b Builder) Binary() *dagger.File {
	source := b.Dag.Directory().WithDirectory("/", b.Source, dagger.DirectoryWithDirectoryOpts{
		Exclude: notBuilt(),
	})
	ctr := b.Dag.Container().From(b.Go).
		WithMountedCache("/go/pkg/mod", b.Dag.CacheVolume("nestlab-go-mod")).
		WithMountedCache("/root/.cache/go-build", b.Dag.CacheVolume("nestlab-go-build")).
		WithEnvVariable("CGO_ENABLED", "0").
		WithEnvVariable("GOTOOLCHAIN", "local")
	if b.GoProxy != "" {
		ctr = ctr.WithEnvVariable("GOPROXY", b.GoProxy)
	}
	return ctr.WithDirectory("/src", source).WithWorkdir("/src").
		WithExec([]string{"go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", "/out/nestlab", "./cmd/nestlab"}).
		File("/out/nestlab")
}

// notBuilt are the parts of the source that the binary is not built from: a change
// there builds nothing again. A new package is built without being named anywhere.
func notBuilt() []string {
	return []string{
		".*", "*.go", "*.md", "*.json", "Makefile", "LICENSE", "out",
		"bench", "docs", "e2e", "engine", "examples", "images", "internal", "pipelines", "testbed/await", "testbed/nettest", "tests", "tools",
		"**/*_test.go", "**/testdata",
	}
}

// base is the base image with the configured apt sources.
func (b Builder) base() *dagger.Container {
	ctr := b.Dag.Container().From(b.Base)
	if len(b.AptSources) == 0 {
		return ctr
	}
	return ctr.WithNewFile("/etc/apt/sources.list", strings.Join(b.AptSources, "\n")+"\n").
		WithoutDirectory("/etc/apt/sources.list.d")
}

// archives is where apt keeps the packages that it fetched.
const archives = "/var/cache/nestlab-apt"

// aptInstall adds packages in one layer. The package archive is a cache volume,
// so that a changed list costs only what is new; the lists, larger than many an image,
// do not stay.
func (b Builder) aptInstall(ctr *dagger.Container, packages ...string) *dagger.Container {
	// One layer: an old list of packages and a new list of names do not go together.
	const script = `set -eu
apt() { apt-get -q -o Dir::Cache::archives=` + archives + ` -o APT::Update::Error-Mode=any -o Acquire::Retries=3 "$@"; }
mkdir -p ` + archives + `/partial
apt update
apt install --yes --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
`
	return ctr.WithEnvVariable("DEBIAN_FRONTEND", "noninteractive").
		WithMountedCache(archives, b.Dag.CacheVolume("nestlab-apt-archives"), dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeLocked}).
		WithExec(append([]string{"sh", "-c", script, "sh"}, packages...)).
		WithoutMount(archives).
		WithoutEnvVariable("DEBIAN_FRONTEND")
}

// Plain is the base image with the one binary: a container without Docker, and
// the base for putting Docker in at run time.
func (b Builder) Plain() *dagger.Container {
	return b.base().WithFile(binaryPath, b.Binary())
}

// Dind is the image with Docker installed at build time. How long that took is kept
// in the image, for a cached layer takes no time when it is used.
func (b Builder) Dind(o spec.Origin) *dagger.Container {
	return b.installed(b.Plain(), o, "--record", spec.RecordPath)
}

// Runner is the simulated runner: Docker, LXD and QEMU installed, nothing started.
// It has the Docker of these suites of Debian too.
func (b Builder) Runner(suites ...spec.DockerSuite) *dagger.Container {
	runner := b.runnerPackages().WithDirectory(AssetsPath+"/guest", b.guest(cloudKernel))
	for _, suite := range suites {
		runner = b.withDocker(runner, suite)
	}
	return runner.
		WithFile(binaryPath, b.Binary()).
		WithDirectory(AssetsPath, b.Assets())
}

// WithStockGuest adds the guest with a stock kernel to a simulated runner.
func (b Builder) WithStockGuest(runner *dagger.Container) *dagger.Container {
	return runner.WithDirectory(AssetsPath+"/guest-stock", b.guest(stockKernel))
}

// runnerPackages is what both forms of the simulated runner have installed.
func (b Builder) runnerPackages() *dagger.Container {
	return b.aptInstall(b.base(),
		"docker.io", "lxd", "lxd-client", "iptables", "nftables", "iproute2", "uidmap", "dnsmasq-base", "tini",
		"acl", "attr", "squashfs-tools", "xz-utils", "ca-certificates", "procps", "util-linux", "kmod",
		"qemu-system-x86")
}

// AssetsPath is where the simulated runner finds what it starts from.
const AssetsPath = "/opt/nestlab"

// Assets are what the simulated runner and its internet start from: base.tar
// (the root of the image that its registry serves), lxd.tar (an LXD image), lxd-vm.tar
// (what makes the guest's disk one of LXD's images too) and apt (a package repository).
func (b Builder) Assets() *dagger.Directory {
	return b.Dag.Directory().
		WithFile("base.tar", b.pack(b.base().Rootfs(), "base.tar")).
		WithFile("lxd.tar", b.lxdImage()).
		WithFile("lxd-vm.tar", b.lxdVMMetadata()).
		WithDirectory("apt", b.aptRepository())
}

// tar makes a tar file in /out: owners by number, and without what nobody reads in a guest
// or a container of the simulation, which copies it several times.
func tar(name string, args ...string) []string {
	cmd := []string{"tar", "--numeric-owner", "--wildcards"}
	for _, unread := range []string{"usr/share/locale/*", "usr/share/doc/*", "usr/share/man/*", "usr/share/info/*"} {
		cmd = append(cmd, "--exclude="+unread)
	}
	return append(append(cmd, "-cf", "/out/"+name), args...)
}

// pack makes a tar file of a root file system.
func (b Builder) pack(root *dagger.Directory, name string) *dagger.File {
	return b.base().WithMountedDirectory("/in", root).WithExec([]string{"mkdir", "/out"}).
		WithExec(tar(name, "-C", "/in", ".")).
		File("/out/" + name)
}

// aptRepository holds the packages that set-ups install in the simulation.
func (b Builder) aptRepository() *dagger.Directory {
	return b.aptInstall(b.base(), "apt-utils").
		WithExec([]string{"mkdir", "-p", "/debs/partial", "/out"}).
		WithExec([]string{"apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=3", "update"}).
		WithExec([]string{
			"apt-get", "-q", "-o", "Dir::Cache::archives=/debs", "install", "--yes", "--download-only", "--no-install-recommends",
			"docker.io", "iptables", "ca-certificates", "hello",
		}).
		WithFile(binaryPath, b.Binary()).
		WithExec([]string{binaryPath, "world", "apt-repo", "--debs", "/debs", "--out", "/out"}).
		Directory("/out")
}

// Buster is a value that no earlier exec has seen: whatever observes must not be
// answered from the engine's cache.
func Buster() string { return time.Now().UTC().Format(time.RFC3339Nano) }
