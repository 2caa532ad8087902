package main

import (
	"context"
	"encoding/json"
	"fmt"

	"dagger/tests/internal/dagger"
)

// vendorSite is a site such as Docker's own, of Debian's packages, and those packages with
// what they need.
type vendorSite struct {
	service  *dagger.Service
	packages *dagger.Directory
	Version  string `json:"version"`
	// Fingerprint is of the key, Script and Archive are the SHA-256 of both.
	Fingerprint string `json:"fingerprint"`
	Script      string `json:"script"`
	Archive     string `json:"archive"`
}

func newVendorSite(ctx context.Context) (*vendorSite, error) {
	nestlab := dag.Nestlab().HostStep()
	tools := dag.Container().From("debian:bookworm").
		WithExec([]string{"sh", "-c", "set -eu\napt-get -qq update\napt-get -qq install --yes --no-install-recommends apt-utils patchelf"})
	packages := dag.Container().From("debian:bookworm").WithExec([]string{"sh", "-c", `set -eu
apt-get -qq update
mkdir -p /debs/partial
apt-get -qq -o Dir::Cache::archives=/debs install --yes --download-only --no-install-recommends docker.io iptables ca-certificates
rm -r /debs/partial /debs/lock`}).Directory("/debs")
	site := tools.WithFile("/usr/local/bin/nestlab", nestlab).WithMountedDirectory("/debs", packages).
		WithExec([]string{"nestlab", "testbed", "vendor", "--debs", "/debs", "--out", "/site"}).Directory("/site")
	text, err := site.File("vendor.json").Contents(ctx)
	if err != nil {
		return nil, err
	}
	v := &vendorSite{packages: packages}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return nil, fmt.Errorf("read what is pinned of the site: %w", err)
	}
	v.service = dag.Container().From("debian:bookworm").WithFile("/usr/local/bin/nestlab", nestlab).WithDirectory("/site", site).
		WithExposedPort(80).
		AsService(dagger.ContainerAsServiceOpts{
			Args: []string{"nestlab", "testbed", "internet", "--quiet", "--single-address", "--vendor", "/site"}, InsecureRootCapabilities: true,
		})
	return v, nil
}

// options are those of a method that installs from the site.
func (v *vendorSite) options(method, phase string) dagger.NestlabDindOpts {
	const site = "http://package-mirror"
	o := dagger.NestlabDindOpts{Method: method, Phase: phase}
	if method != "distro" && method != "cached" {
		o.DockerVersion, o.DownloadURL, o.PackageMirror = v.Version, site, v.service
	}
	switch method {
	case "docker-ce":
		o.Fingerprint = v.Fingerprint
	case "script":
		o.Script, o.Checksum = site+"/get-docker.sh", v.Script
	case "static":
		o.Checksum = v.Archive
	case "cached":
		o.Packages = v.packages
	}
	return o
}

// Method installs Docker in one of the ways, builds an image with it and runs that.
//
// +cache="never"
func (m *Tests) Method(ctx context.Context,
	// distro, docker-ce, script, static or cached.
	method string,
	// build-time or runtime.
	phase string,
	// Has the key or the checksum be another than is pinned.
	// +optional
	wrong bool,
) (string, error) {
	site, err := newVendorSite(ctx)
	if err != nil {
		return "", err
	}
	o := site.options(method, phase)
	if wrong {
		o.Fingerprint, o.Checksum = reversed(o.Fingerprint), reversed(o.Checksum)
	}
	ctr := docker(o).Container().WithNewFile("/app/Dockerfile", "FROM base\nRUN echo built >/greeting\nCMD cat /greeting\n")
	return in(ctx, ctr, `docker version --format '{{.Server.Version}}'
docker build --quiet --tag app /app >&2
docker run --rm app`)
}

// MethodRun probes Docker-in-Docker of one of the ways.
//
// +cache="never"
func (m *Tests) MethodRun(ctx context.Context,
	// distro, docker-ce, script, static or cached.
	method string,
	// build-time or runtime.
	phase string,
) (string, error) {
	site, err := newVendorSite(ctx)
	if err != nil {
		return "", err
	}
	return dag.Nestlab().Dind(site.options(method, phase)).Run(dagger.NestlabDindRunOpts{Internet: "simulated"}).Table(ctx)
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// Built is what the image says that a daemon built.
//
// +cache="never"
func (m *Tests) Built(ctx context.Context) (string, error) {
	app := dag.Directory().WithNewFile("docker/app", "FROM base AS first\nARG WORD\nRUN echo built $WORD >/greeting\nFROM first AS last\nRUN rm /greeting\n")
	ctr := docker().Build(app, dagger.NestlabDindBuildOpts{Dockerfile: "docker/app", Target: "first", BuildArg: []string{"WORD=inside"}})
	return ctr.WithExec([]string{"cat", "/greeting"}).Stdout(ctx)
}
