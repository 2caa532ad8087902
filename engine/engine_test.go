//go:build engine

// These tests use the engine that `go run . up` has brought up:
//
//	go test -tags engine .
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dagger calls our engine and gives the output and how long it took.
func dagger(t *testing.T, args ...string) (string, time.Duration, error) {
	t.Helper()
	c, err := openCache(os.LookupEnv)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.bin("dagger"), append([]string{"--silent", "core"}, args...)...)
	cmd.Env = append(os.Environ(), runnerHost+"=unix://"+c.socket(), "DO_NOT_TRACK=1", "DAGGER_NO_NAG=1")
	cmd.Dir = t.TempDir()
	begin := time.Now()
	b, err := cmd.CombinedOutput()
	return string(b), time.Since(begin), err
}

func TestAPullThatTheMirrorCannotServeFailsAtOnce(t *testing.T) {
	for _, address := range []string{"nosuch/image:1", "debian:sid", "quay.io/nosuch/image:1", "ghcr.io/library/debian:bookworm"} {
		out, took, err := dagger(t, "container", "from", "--address="+address, "stdout")
		require.Error(t, err, address)
		require.Contains(t, out, "nestlab's mirror does not have "+address+"; it has: ", address)
		require.Less(t, took, 5*time.Second, address)
	}
}

func TestEveryImageOfTheMirrorRuns(t *testing.T) {
	for _, i := range catalogue(goSettings{}) {
		for _, tag := range i.tags {
			out, _, err := dagger(t, "container", "from", "--address="+tag, "with-exec", "--args=cat,/etc/os-release", "stdout")
			require.NoError(t, err, out)
			require.Contains(t, out, "VERSION_CODENAME="+suite, tag)
		}
	}
}

func TestTheEngineHasANetworkOfItsOwn(t *testing.T) {
	c, err := openCache(os.LookupEnv)
	require.NoError(t, err)
	st, alive, err := c.running()
	require.NoError(t, err)
	require.True(t, alive, "there is no engine: run go run . up")
	host, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	for name, p := range map[string]process{"engine": st.Engine, "uplink": st.Uplink} {
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.PID))
		require.NoError(t, err)
		require.Equal(t, name == "uplink", its == host, name)
	}
}

func TestContainersSeeTheWorldAsItIs(t *testing.T) {
	out, _, err := dagger(t, "container", "from", "--address=debian:bookworm",
		"with-exec", "--args=cat,/etc/hosts,/sys/class/net/eth1/mtu", "stdout")
	require.NoError(t, err, out)
	require.NotContains(t, out, dockerHubHost, "the mirror's names are the engine's own matter")
	require.Contains(t, out, uplinkMTU+"\n")
}
