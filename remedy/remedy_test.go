package remedy_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// testCase is a remedy with parameters on a machine that needs it.
type testCase struct {
	name       string
	parameters map[string]string
	// before makes the machine need it.
	before string
	// skip is why the case cannot be had on this machine; empty where it can.
	skip string
}

// cases has each remedy that nestlab carries out at least once.
func cases(t *testing.T) []testCase {
	t.Helper()
	all := slices.Clone(everywhere)
	all = append(all, testCase{"ca-install", of("certificate=" + authority(t, true)), "", ""})
	current, err := os.Readlink("/etc/alternatives/iptables")
	require.NoError(t, err, "install iptables: make test-deps")
	other := "legacy"
	if strings.HasSuffix(current, "legacy") {
		other = "nft"
	}
	all = append(all, testCase{"iptables-backend", of("backend=" + other), "", ""})
	bridged := testCase{name: "br-netfilter-off", parameters: of()}
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		// Not loaded by the test: a module is the host's.
		bridged.skip = fmt.Sprintf("br_netfilter is not loaded on this machine: %v", err)
	}
	return append(all, bridged)
}

func (c testCase) remedy() model.Remedy { return model.Remedy{Name: c.name, Parameters: c.parameters} }

func (c testCase) words() []string {
	words := []string{c.name}
	for _, k := range slices.Sorted(maps.Keys(c.parameters)) {
		words = append(words, k+"="+c.parameters[k])
	}
	return words
}

// prepare makes the machine and the case's own part of it.
func (c testCase) prepare(t *testing.T) (h remedy.Host, before []string) {
	t.Helper()
	machine(t)
	t.Cleanup(func() {
		for _, p := range []string{"iptables", "ip6tables"} {
			if strings.Contains(c.before, p+"-legacy") {
				run(t, p+"-legacy", "-F")
				run(t, p+"-legacy", "-X")
			}
		}
	})
	lines(t, c.before)
	h = remedy.Host{Journal: filepath.Join(t.TempDir(), "deep", "remedies.json")}
	return h, snapshot(t)
}

// same fails if something is left of a remedy.
func same(t *testing.T, h remedy.Host, before []string, message string) {
	t.Helper()
	require.Empty(t, hostsnapshot.Diff(before, snapshot(t)), message)
	require.Equal(t, before, snapshot(t), "%s: the order too", message)
	require.NoFileExists(t, h.Journal, message)
}

func each(t *testing.T, f func(t *testing.T, c testCase)) {
	t.Helper()
	for i, c := range cases(t) {
		t.Run(fmt.Sprintf("%d %s", i, strings.Join(c.words(), " ")), func(t *testing.T) {
			if c.skip != "" {
				t.Skip(c.skip)
			}
			f(t, c)
		})
	}
}

func TestEveryRemedyIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range cases(t) {
		tested[c.name] = true
	}
	for _, r := range catalogue.All() {
		require.True(t, tested[r.Name] || r.ByHand, r.Name)
	}
}

func TestApplyAndRevertLeaveNothing(t *testing.T) {
	each(t, func(t *testing.T, c testCase) {
		h, before := c.prepare(t)
		require.NoError(t, h.Check(t.Context(), c.remedy()))
		same(t, h, before, "a check changes nothing")
		require.NoError(t, h.Apply(t.Context(), c.remedy()))
		require.NotEmpty(t, hostsnapshot.Diff(before, snapshot(t)), "it does something")
		status, err := h.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, status, 1)
		require.Empty(t, status[0].Missing)
		require.ErrorContains(t, h.Apply(t.Context(), c.remedy()), "applied already")
		require.NoError(t, h.Revert(t.Context(), c.remedy()))
		same(t, h, before, "reverted")
		require.NoError(t, h.Revert(t.Context(), c.remedy()))
		same(t, h, before, "reverted twice")
	})
}

// dies runs this test's binary until it kills itself at the point.
func dies(t *testing.T, what string, h remedy.Host, point string, c testCase) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{what, h.Journal, point}, c.words()...)...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false // it has no such point
	}
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), "%s", out)
	return true
}

func TestKilledAtAnyPoint(t *testing.T) {
	each(t, func(t *testing.T, c testCase) {
		h, before := c.prepare(t)
		died := 0
		for step := 0; ; step++ {
			point := "journal"
			if step > 0 {
				point = fmt.Sprintf("step %d", step)
			}
			if !dies(t, "die-applying", h, point, c) {
				break
			}
			died++
			require.FileExists(t, h.Journal, "the journal is there before the change")
			reverted, err := h.RevertAll(t.Context())
			require.NoError(t, err)
			require.Len(t, reverted, 1)
			same(t, h, before, "killed applying, at "+point)
		}
		require.GreaterOrEqual(t, died, 2)
		for undone := died - 1; undone > 0; undone-- { // it is applied now
			point := fmt.Sprintf("undone %d", undone)
			require.True(t, dies(t, "die-reverting", h, point, c), point)
			require.NoError(t, h.Revert(t.Context(), c.remedy()))
			same(t, h, before, "killed reverting, at "+point)
			require.NoError(t, h.Apply(t.Context(), c.remedy()))
		}
		require.NoError(t, h.Revert(t.Context(), c.remedy()))
		same(t, h, before, "at last")
	})
}

// What starts a process is killed at any moment, not only between steps.
func TestKilledAtAnyMoment(t *testing.T) {
	for _, c := range []testCase{
		{name: "dns-forwarder", parameters: map[string]string{"bridge": bridge, "server": own}},
		{name: "ca-install", parameters: map[string]string{"certificate": authority(t, true)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, before := c.prepare(t)
			for range 15 {
				cmd := exec.Command(os.Args[0], append([]string{"die-applying", h.Journal, "never"}, c.words()...)...)
				require.NoError(t, cmd.Start())
				time.Sleep(time.Duration(rand.Int64N(int64(60 * time.Millisecond)))) // the moment, not a wait
				require.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait() // killed, or done before
				_, err := h.RevertAll(t.Context())
				require.NoError(t, err)
				await.True(t, func() bool { return len(servers(t)) == 0 }, "a server whose number is not in the journal ends by itself")
				same(t, h, before, "killed")
			}
		})
	}
}
