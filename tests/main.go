// Tests use nestlab as any other module does: by its name and its functions alone.
package main

import (
	"context"

	"dagger/tests/internal/dagger"
)

// Tests are one function for each thing that a caller's module may rely on. The engine
// keeps what a caller's function gave for seven days, whatever that calls: what observes has
// to say so itself.
type Tests struct{}

// Check simulates a runner and gives what its check says.
//
// +cache="never"
func (m *Tests) Check(ctx context.Context) (string, error) {
	return dag.Nestlab().Simulate(dagger.NestlabSimulateOpts{Order: "lxd-first", Environments: []string{"runner"}}).Check(ctx)
}

// in runs a script that ends at the first command that fails.
func in(ctx context.Context, ctr *dagger.Container, script string) (string, error) {
	return ctr.WithExec([]string{"sh", "-c", "set -eu\n" + script}).Stdout(ctx)
}

// docker is a daemon with an image to make containers from.
func docker(opts ...dagger.NestlabDindOpts) *dagger.NestlabDind {
	return dag.Nestlab().Dind(opts...).WithImage("base", dag.Container().From("debian:bookworm"))
}

// Identity is that of the daemon: another at each call, for its data is temporary.
//
// +cache="never"
func (m *Tests) Identity(ctx context.Context) (string, error) {
	return in(ctx, docker().Container(), "docker info --format '{{.ID}}'")
}

// Options are seen in the daemon: TLS, MTU, storage driver, address pool, registries.
//
// +cache="never"
func (m *Tests) Options(ctx context.Context) (string, error) {
	d := docker(dagger.NestlabDindOpts{
		TLS: true, Mtu: 1400, StorageDriver: "vfs", AddressPool: []string{"10.99.0.0/16"},
		RegistryMirror: []string{"http://mirror.invalid:5000"}, InsecureRegistry: []string{"registry.invalid:5000"},
	})
	return in(ctx, d.Container(), `echo "$DOCKER_HOST $NO_PROXY"
docker info --format '{{.Driver}} {{.RegistryConfig.Mirrors}} {{index .RegistryConfig.IndexConfigs "registry.invalid:5000" | json}}'
docker run --rm base sh -c 'cat /sys/class/net/eth0/mtu; ip -o -4 address show eth0 || cat /proc/net/fib_trie' | grep -E '^1|10[.]99' | head -2
! DOCKER_TLS_VERIFY= docker --tls=false ps 2>&1`)
}

// Published is a port that a container publishes: it is docker's, for Testcontainers too.
//
// +cache="never"
func (m *Tests) Published(ctx context.Context) (string, error) {
	client := dag.Nestlab().Dind().Image().WithEnvVariable("NO_PROXY", "example.com")
	ctr := docker().Testcontainers(client)
	return in(ctx, ctr, `echo "$NO_PROXY $TESTCONTAINERS_HOST_OVERRIDE"
docker run --detach --publish 8080:80 base perl -MIO::Socket::INET -e '
	my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5, ReuseAddr => 1) or die $!;
	while (my $c = $s->accept) { print $c "published\n"; close $c }' >/dev/null
perl -MIO::Socket::INET -e '
	for (1..100) { my $c = IO::Socket::INET->new("$ENV{TESTCONTAINERS_HOST_OVERRIDE}:8080");
		if ($c and defined(my $line = <$c>)) { print $line; exit 0 } select undef, undef, undef, 0.1 }
	die "no answer"'`)
}

// web serves one answer by HTTP.
const web = `use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5, ReuseAddr => 1) or die $!;
while (my $c = $s->accept) {
	while (defined(my $line = <$c>)) { last if $line =~ /^\r?$/ }
	print $c "HTTP/1.0 200 OK\r\n\r\nhello from a container\n";
	close $c;
}
`

// Testcontainers runs a test of testcontainers-go.
//
// +cache="never"
func (m *Tests) Testcontainers(ctx context.Context) (string, error) {
	image := dag.Container().From("debian:bookworm").WithNewFile("/web.pl", web).WithDefaultArgs([]string{"perl", "/web.pl"})
	test := dag.Container().From("golang:1").
		WithMountedCache("/go/pkg/mod", dag.CacheVolume("tests-go-mod")).
		WithMountedCache("/root/.cache/go-build", dag.CacheVolume("tests-go-build")).
		WithDirectory("/src", dag.CurrentModule().Source().Directory("testcontainers")).WithWorkdir("/src").
		WithEnvVariable("TESTCONTAINERS_RYUK_DISABLED", "true") // no registry is wanted here to pull it from
	ctr := dag.Nestlab().Dind().WithImage("web", image).Testcontainers(test)
	return in(ctx, ctr, "CGO_ENABLED=0 go test -count=1 -v .")
}

// Kept is what a data volume keeps: an image that the first daemon built, for the second,
// which loads nothing again.
//
// +cache="never"
func (m *Tests) Kept(ctx context.Context,
	// Name of the data volume.
	volume string,
	// What to do with the daemon.
	script string,
) (string, error) {
	return in(ctx, docker(dagger.NestlabDindOpts{DataVolume: volume}).Container(), script)
}

// Second starts a daemon on the data of another that runs: an error.
//
// +cache="never"
func (m *Tests) Second(ctx context.Context,
	// Name of the data volume.
	volume string,
) (string, error) {
	first := docker(dagger.NestlabDindOpts{DataVolume: volume}).Service()
	if _, err := first.ID(ctx); err != nil {
		return "", err
	}
	// Another MTU makes it another service: the same would be the first one.
	return in(ctx, docker(dagger.NestlabDindOpts{DataVolume: volume, Mtu: 1400}).Container(), "docker info")
}

// Runtime installs Docker when the service starts.
//
// +cache="never"
func (m *Tests) Runtime(ctx context.Context) (string, error) {
	return in(ctx, docker(dagger.NestlabDindOpts{Phase: "runtime"}).Container(), "docker run --rm base echo installed")
}

// Image is the digest of what is in the image, and the number of files that have a time.
//
// +cache="never"
func (m *Tests) Image(ctx context.Context,
	// Makes it another build.
	salt string,
) (string, error) {
	root := dag.Nestlab(dagger.NestlabOpts{AptSources: []string{
		"# " + salt, "deb http://deb.debian.org/debian bookworm main",
	}}).Dind().Image().Rootfs()
	digest, err := root.WithoutFile("/etc/apt/sources.list").Digest(ctx)
	if err != nil {
		return "", err
	}
	timed, err := in(ctx, dag.Container().From("debian:bookworm").WithMountedDirectory("/image", root), "find /image -mindepth 1 -newermt @1 | wc -l")
	return digest + " " + timed, err
}
