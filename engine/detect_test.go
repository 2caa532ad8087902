package main

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDetect(t *testing.T) {
	const answering, mute = "echo 28.0.4", "echo 'Cannot connect to the Docker daemon' >&2; exit 1"
	c := cache{"/c/engine"}
	for name, x := range map[string]struct {
		dagger, docker, host string
		want                 string // part of how, empty for nothing found
	}{
		"nothing":                           {},
		"docker answers, no CLI":            {docker: answering},
		"docker answers, CLI":               {dagger: "exit 0", docker: answering, want: "runs in Docker 28.0.4"},
		"docker client without its daemon":  {dagger: "exit 0", docker: mute},
		"docker answers with nothing":       {dagger: "exit 0", docker: "echo"},
		"docker client that knows no value": {dagger: "exit 0", docker: "echo '<no value>'"},
		"runner host, CLI":                  {dagger: "exit 0", host: "tcp://e:1", want: "tcp://e:1, named by " + runnerHost},
		"runner host, no CLI":               {host: "tcp://e:1"},
		"runner host is our own":            {dagger: "exit 0", host: "unix://" + c.socket()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if x.dagger != "" {
				fake(t, dir, "dagger", x.dagger)
			}
			if x.docker != "" {
				fake(t, dir, "docker", x.docker)
			}
			t.Setenv("PATH", dir)
			e, ok := detect(t.Context(), c, vars("PATH", dir, runnerHost, x.host))
			require.Equal(t, x.want != "", ok)
			require.Contains(t, e.how, x.want)
		})
	}
}

func TestOurOwnCLIIsNotAForeignOne(t *testing.T) {
	t.Parallel()
	own, other := t.TempDir(), t.TempDir()
	fake(t, own, "dagger", "exit 0")
	require.Empty(t, foreignCLI(own+"/:/nowhere:", own))
	fake(t, other, "dagger", "exit 0")
	require.Equal(t, filepath.Join(other, "dagger"), foreignCLI(own+":"+other, own))
}

func TestAnEngineThatIsNotThere(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "engine.sock")
	named := func(host string) existing { return existing{exports: [][2]string{{runnerHost, host}}} }
	err := named("unix://" + socket).answers(t.Context())
	require.ErrorContains(t, err, "unset "+runnerHost)
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.NoError(t, named("unix://"+socket).answers(t.Context()))
	require.NoError(t, named("docker-image://registry.example/engine:1").answers(t.Context()), "only the CLI can tell")
	require.NoError(t, existing{how: "in Docker"}.answers(t.Context()))
}
