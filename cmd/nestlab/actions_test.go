package main

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// job is a job of Actions on a test host: its steps have what a runner gives.
type job struct {
	*testHost
	inputs []string
}

// newJob has what the runner has and this machine may not: sudo, and a Go that makes this
// program nestlab, with a journal in the job's directory.
func newJob(h *testHost) job {
	h.t.Helper()
	nestlab := `#!/bin/sh
more=--journal=` + h.dir + `/remedies.json
for word; do
	shift
	case $word in --journal=/var/lib/nestlab/*) more=--journal=` + h.dir + `/${word##*/} ;; *) set -- "$@" "$word" ;; esac
done
test "$1" != doctor || more="$more --targets=` + h.targets + `"
exec ` + os.Args[0] + ` "$@" $more
`
	for name, body := range map[string]string{
		"sudo": `#!/bin/sh
kept=
case $1 in --preserve-env=*) kept=$1; shift ;; esac
for name in ` + actionsOutput + " " + actionsSummary + `; do
	case $kept in *$name*) ;; *) unset $name ;; esac
done
exec "$@"
`,
		"go": `#!/bin/sh -e
test "$1 $2 $4" = "build -C -o"
cd "$3"
test -e go.mod
test -d "$6"
cp ` + filepath.Join(h.dir, "nestlab") + ` "$5"
`,
		"nestlab": nestlab,
	} {
		require.NoError(h.t, os.WriteFile(filepath.Join(h.dir, name), []byte(body), 0o755))
	}
	return job{testHost: h}
}

// step runs a program as a step of the job, and tells what it printed.
func (j job) step(program string, args ...string) (string, error) {
	j.t.Helper()
	cmd := exec.CommandContext(j.t.Context(), program, args...)
	cmd.Env = append(j.environment(), "PATH="+j.dir+":"+os.Getenv("PATH"), "RUNNER_TEMP="+j.dir,
		actionsOutput+"="+filepath.Join(j.dir, "output"), actionsSummary+"="+filepath.Join(j.dir, "summary"))
	cmd.Env = append(cmd.Env, j.inputs...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (j job) read(name string) string {
	j.t.Helper()
	text, err := os.ReadFile(filepath.Join(j.dir, name))
	require.NoError(j.t, err)
	return string(text)
}

// action is what an action's file says.
type action struct {
	Inputs map[string]struct{ Default string }
	Runs   struct {
		Using, Main, Post string
		Steps             []struct{ ID, Run string }
	}
}

func readAction(t *testing.T, name string) (a action) {
	t.Helper()
	text, err := os.ReadFile("../../.github/actions/" + name + "/action.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &a))
	return a
}

// The action's step finds a guest without network, fixes it, and tells Actions of it; the
// fix goes with the last step.
func TestDoctorAction(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	j := newJob(newTestHost(t))
	j.run("iptables-nft", "-P", "FORWARD", "DROP")
	before, a := j.state(), readAction(t, "doctor")
	script := a.Runs.Steps[len(a.Runs.Steps)-1]
	require.Equal(t, "doctor", script.ID)
	step := func(fix string) (string, error) {
		j.inputs = []string{"FIX=" + fix, "BRIDGE=" + a.Inputs["bridge"].Default, "FAIL_ON=" + a.Inputs["fail-on"].Default}
		return j.step("bash", "-eo", "pipefail", "-c", script.Run)
	}
	out, err := step("false")
	require.Error(t, err, out)
	require.Contains(t, out, "\n::error title=firewall-forward-drop::")
	require.Contains(t, j.read("output"), "verdict=cause\ncause=firewall-forward-drop\nconfidence=proven\nremedy=accept-before ")
	require.Contains(t, j.read("summary"), "firewall-forward-drop")
	require.NoError(t, os.Remove(filepath.Join(j.dir, "output")))
	out, err = step("true")
	require.NoError(t, err, out)
	require.Contains(t, j.read("output"), "verdict=healthy\ncause=\n")
	out2, err := j.nestlab("remedy", "revert", "--journal", filepath.Join(j.dir, "remedies.json")).CombinedOutput()
	require.NoError(t, err, "%s", out2)
	require.Empty(t, differ(before, j.state()))
}

// dockerFirst has the rules of a dockerd that turned forwarding on, of both families.
func (h *testHost) dockerFirst() {
	h.t.Helper()
	for _, program := range []string{"iptables-nft", "ip6tables-nft"} {
		for _, rule := range []string{"-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A FORWARD -i docker0 -j ACCEPT", "-A FORWARD -o docker0 -j ACCEPT", "-P FORWARD DROP"} {
			h.run(program, strings.Fields(rule)...)
		}
	}
}

// guestReaches reports whether the guest reaches the site by IPv4 and by IPv6.
func (h *testHost) guestReaches() (v4, v6 bool) {
	h.t.Helper()
	reaches := [2]bool{}
	for i, site := range []netip.Addr{observetest.Site, observetest.Site6} {
		reaches[i] = h.Guest.Dial(h.t, "tcp", site, 80, time.Second) == nil
	}
	return reaches[0], reaches[1]
}

// The action gives a guest its network under Docker's policy and under a firewall of the
// administrator's, says why, and its last step leaves the rules as they were.
func TestSetupVMNetworkAction(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	a := readAction(t, "setup-vm-network")
	j := newJob(newTestHost(t))
	j.inputs = []string{"INPUT_BRIDGE=" + a.Inputs["bridge"].Default, "INPUT_FAIL-ON=" + a.Inputs["fail-on"].Default}
	file := func(name string) string { return "../../.github/actions/setup-vm-network/" + name }
	for _, c := range []struct {
		cause   string
		sicken  func()
		changed []string
		never   string
		says    string
	}{
		{"docker-forward-drop", j.dockerFirst,
			[]string{"docker-user-accept bridge=br0 family=v4", "docker-user-accept bridge=br0 family=v6", "docker-user-accept bridge=virbr0 family=v4", "docker-user-accept bridge=virbr0 family=v6"},
			"accept-before", "Docker's FORWARD policy drops what guests of other bridges send"},
		{"firewall-forward-drop", func() {
			j.nft("table inet admin { chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }; }")
		}, []string{"accept-before answers=yes chain=forward in=br0"}, "docker-user-accept", "A firewall on the runner drops what guests send"},
	} {
		c.sicken()
		before := j.state()
		v4, v6 := j.guestReaches()
		require.False(t, v4 || v6, c.cause)
		out, err := j.step("node", file(a.Runs.Main))
		require.NoError(t, err, out)
		require.Contains(t, out, "\n::notice title="+c.cause+"::"+c.changed[0])
		require.Contains(t, j.read("output"), "verdict=healthy\ncause=\n")
		for _, change := range c.changed {
			require.Contains(t, j.read("output"), change)
			require.Contains(t, j.read("summary"), "| `"+change)
		}
		require.NotContains(t, j.read("output"), c.never, "what there is no need of is not done")
		require.NotContains(t, j.read("output"), "bridge=docker0")
		require.Contains(t, j.read("summary"), "` | fixes "+c.cause)
		require.Contains(t, j.read("summary"), c.says)
		v4, v6 = j.guestReaches()
		require.True(t, v4 && v6, "%v %v: %s", v4, v6, out)
		out, err = j.step("node", file(a.Runs.Post))
		require.NoError(t, err, out)
		require.Empty(t, differ(before, j.state()))
		v4, v6 = j.guestReaches()
		require.False(t, v4 || v6, "the rules are as before, and the guest is not")
		j.repair(hostFault{})
		require.NoError(t, errors.Join(os.Remove(filepath.Join(j.dir, "output")), os.Remove(filepath.Join(j.dir, "summary"))))
	}
}

// A bridge that is not there yet has its network from the start.
func TestDoctorPrevents(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.dockerFirst()
	before := h.state()
	for range 2 { // the second has nothing left to do
		out, err := h.doctor("--fix", "--prevent", "--bridge", "later0").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for _, c := range []string{"link set br0 down", "link set br0 name later0", "link set later0 up"} {
		h.run("ip", strings.Fields(c)...)
	}
	require.Eventually(t, func() bool { v4, _ := h.guestReaches(); return v4 }, time.Minute, 10*time.Millisecond, "the guest never reached the site")
	for _, c := range []string{"link set later0 down", "link set later0 name br0", "link set br0 up", "address add " + observetest.Gateway6.String() + "/64 dev br0 nodad"} {
		h.run("ip", strings.Fields(c)...)
	}
	out, err := h.nestlab("remedy", "revert", "--journal", filepath.Join(h.dir, "journal.json")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Eventually(t, func() bool { return len(differ(before, h.state())) == 0 }, time.Minute, 50*time.Millisecond)
}

func TestDoctorRefusesToPrevent(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--prevent"}, {"--fix", "--prevent", "--bridge", "-j"}, {"--fix", "--prevent", "--bridge", "a b"},
		{"--fix", "--prevent", "--bridge", "lo"},              // there, and no bridge
		{"--fix", "--prevent", "--bridge", "br-0123456789ab"}, // such as Docker has
	} {
		_, _, err := executed(t, newDoctorCommand(), args...)
		require.Error(t, err, "%v", args)
		require.Equal(t, exitUsage, exitCode(err), "%v: %v", args, err)
	}
}
