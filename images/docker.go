package images

import (
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
)

// dockerPrograms prints nothing and leaves in /out the programs of the Docker that
// a suite of Debian has: $1. The suite's packages are looked for where the image's
// own come from, whatever its sources are; only Docker and what it cannot do
// without is taken from there, the rest is the image's own.
const dockerPrograms = `set -eu
suite=$1
. /etc/os-release
apt() { apt-get -q -o Dir::Cache::archives=` + archives + ` -o APT::Update::Error-Mode=any -o Acquire::Retries=3 "$@"; }
mkdir -p ` + archives + `/partial /out
apt update
if [ "$suite" != "${VERSION_CODENAME:-}" ]; then
	archive=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk -v own="${VERSION_CODENAME:-}" '$1 == own && $2 == "main" { print $3; exit }')
	if [ "$ID" != debian ] || [ -z "$archive" ]; then
		echo "the Docker of Debian $suite goes into a base image of Debian with its own apt sources, not into $PRETTY_NAME: give another --base, or leave --docker-from out" >&2
		exit 1
	fi
	# Unstable is signed again every day; a mirror of it that is older will do.
	echo "deb [check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >/etc/apt/sources.list.d/docker-from.list
	printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$suite" >/etc/apt/preferences.d/docker-from
	apt update
fi
apt install --yes --no-install-recommends "docker.io/$suite"
for program in dockerd docker-proxy containerd containerd-shim-runc-v2 runc; do
	cp "$(command -v "$program")" /out/
done
`

// withDocker adds the programs of a suite's Docker to the runner, beside its own
// packages: then Docker alone differs between two runners. That they run with the
// runner's own libraries is tried at once.
func (b Builder) withDocker(runner *dagger.Container, suite spec.DockerSuite) *dagger.Container {
	programs := b.base().WithEnvVariable("DEBIAN_FRONTEND", "noninteractive").
		WithMountedCache(archives, b.Dag.CacheVolume("nestlab-apt-archives"), dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeLocked}).
		WithExec([]string{"sh", "-c", dockerPrograms, "sh", string(suite)}).
		Directory("/out")
	dir := AssetsPath + "/docker/" + string(suite)
	return runner.WithDirectory(dir, programs).
		WithExec([]string{dir + "/dockerd", "--version"}).
		WithExec([]string{dir + "/containerd", "--version"}).
		WithExec([]string{dir + "/runc", "--version"})
}
