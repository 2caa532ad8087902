//go:build e2e

// Package real holds tests of remedies that need a release of Docker which most
// machines do not have. They run in the simulated runner, where e2e takes them:
//
//	nestlab testbed run -- /path/of/real.test -test.v
package real

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/spec"
)

var (
	binary = flag.String("nestlab", spec.BinaryPath, "the one binary")
	docker = flag.String("docker", "/opt/nestlab/docker/sid", "directory with the programs of Docker 28 or later")
)

const forwardingFile = "/proc/sys/net/ipv4/ip_forward"

// What a runner forwards with dockerd up, and after a boot without it.
const (
	dropped  = "-P FORWARD DROP, ip_forward 1"
	accepted = "-P FORWARD ACCEPT, ip_forward 1"
	booted   = "-P FORWARD ACCEPT, ip_forward 0"
)

// TestNoDropFromTheNextBootOn: the remedy works when dockerd is the one that turns
// ip_forward on, so after a boot and not after a restart, until it is reverted.
func TestNoDropFromTheNextBootOn(t *testing.T) {
	t.Setenv("PATH", *docker+":"+os.Getenv("PATH"))
	d := &dind.Daemon{Dir: filepath.Join(t.TempDir(), "dockerd"), Config: catalogue.DaemonFile}
	boot(t)
	require.NoError(t, d.Start(t.Context(), time.Minute))
	t.Cleanup(func() { require.NoError(t, d.Stop()) })
	requireRelease(t, 28)
	require.Equal(t, dropped, forwards(t), "as dockerd leaves it by itself")
	before := configuration(t)

	require.Contains(t, nestlab(t, "apply"), "applied: "+catalogue.IPForwardNoDrop)
	require.NoError(t, d.Restart(t.Context()))
	require.Equal(t, dropped, forwards(t), "after a mere restart")
	reboot(t, d)
	require.Equal(t, accepted, forwards(t), "after a boot with the remedy")

	require.Contains(t, nestlab(t, "revert"), "reverted: "+catalogue.IPForwardNoDrop)
	require.Equal(t, before, configuration(t))
	reboot(t, d)
	require.Equal(t, dropped, forwards(t), "after a boot without the remedy")
}

// reboot ends dockerd and starts it as the first boot did, but with the
// configuration as it is by now.
func reboot(t *testing.T, d *dind.Daemon) {
	t.Helper()
	require.NoError(t, d.Stop())
	boot(t)
	require.NoError(t, d.Restart(t.Context())) // what has ended is only started
}

// boot resets what dockerd looks at, as a boot does.
func boot(t *testing.T) {
	t.Helper()
	table, err := iptables.New()
	require.NoError(t, err)
	require.NoError(t, table.ClearAll())
	require.NoError(t, table.DeleteAll())
	require.NoError(t, table.ChangePolicy("filter", "FORWARD", "ACCEPT"))
	require.NoError(t, os.WriteFile(forwardingFile, []byte("0\n"), 0o644))
	require.Equal(t, booted, forwards(t))
}

// forwards says what decides whether the runner forwards what no rule is about.
func forwards(t *testing.T) string {
	t.Helper()
	table, err := iptables.New()
	require.NoError(t, err)
	rules, err := table.List("filter", "FORWARD")
	require.NoError(t, err)
	on, err := os.ReadFile(forwardingFile)
	require.NoError(t, err)
	return rules[0] + ", ip_forward " + strings.TrimSpace(string(on))
}

// requireRelease makes sure that this is about a Docker that knows the key.
func requireRelease(t *testing.T, least int) {
	t.Helper()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	v, err := api.ServerVersion(t.Context())
	require.NoError(t, err)
	t.Log("Docker", v.Version)
	major, _, _ := strings.Cut(v.Version, ".")
	n, err := strconv.Atoi(major)
	require.NoError(t, err)
	require.GreaterOrEqual(t, n, least, v.Version)
}

func configuration(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(catalogue.DaemonFile)
	require.NoError(t, err)
	return string(text)
}

// nestlab applies or reverts the remedy as a user does.
func nestlab(t *testing.T, verb string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), *binary, "remedy", verb, catalogue.IPForwardNoDrop).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Log(string(out))
	return string(out)
}
