//go:build e2e

package real

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/await"
)

// guestTargets wait longer: an emulated guest on a busy machine is slow to ask. That
// the internet drops echoes is known, so that the table shows what is news.
var guestTargets = strings.NewReplacer("connect: 2s", "connect: 30s", "dns-a: 2s, dns-aaaa: 2s", "dns-a: 30s, dns-aaaa: 30s").Replace(targets) +
	"expect: [{probe: icmp-echo, platforms: [simulated], why: the simulated internet drops echo requests}]\n"

// startGuests is a run of the host step with QEMU's guests and without an LXD: a
// socket that is not there would be an error.
func startGuests(t *testing.T, more ...string) *started {
	t.Helper()
	file := filepath.Join(scratch, "guest-targets.yaml")
	require.NoError(t, os.WriteFile(file, []byte(guestTargets), 0o644))
	s := &started{
		out: filepath.Join(scratch, "guests", fmt.Sprint(time.Now().UnixNano())), begun: time.Now(),
	}
	s.cmd = exec.Command(*binary, append([]string{
		"vm", "run", "--lxd", "/no/lxd.socket", "--guest", filepath.Join(*assets, "guest"),
		"--targets", file, "--platform", "simulated", "--out", s.out,
	}, more...)...)
	s.cmd.Stderr = &s.stderr
	require.NoError(t, s.cmd.Start())
	s.killed(t, func() { gcGuests(t) })
	return s
}

// killed has the tests after one that fails find nothing of its run.
func (s *started) killed(t *testing.T, gc func()) {
	t.Cleanup(func() {
		if t.Failed() {
			s.kill(t)
			gc()
		}
	})
}

// kill ends a run that may have ended.
func (s *started) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		require.NoError(t, err)
		s.wait(t)
	}
}

// gcGuests removes what was left of guests and says what that was.
func gcGuests(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(*binary, "vm", "gc", "--no-lxd").CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// guestUp reports whether QEMU runs with a tap.
func guestUp(t *testing.T) bool {
	_, err := net.InterfaceByName("nl-qemu-bridge")
	return err == nil && len(qemus(t)) == 1
}

// killedGuest kills a run while its guest boots and gives the directory it left.
// Its QEMU ends with it, and the tap with QEMU.
func killedGuest(t *testing.T) string {
	t.Helper()
	s := startGuests(t, "--environments", "qemu-bridge")
	s.until(t, func() bool { return guestUp(t) })
	require.NoError(t, s.cmd.Process.Kill())
	s.wait(t)
	await.True(t, func() bool {
		_, err := net.InterfaceByName("nl-qemu-bridge")
		return err != nil && len(qemus(t)) == 0
	}, "QEMU or its tap is still there")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "nestlab-guests-*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	return left[0]
}

// requirePassed checks that a place of a run was observed whole, with names and
// connections.
func requirePassed(t *testing.T, run model.Run, place model.Place) {
	t.Helper()
	var part model.Run
	for _, r := range run.Results {
		if r.Place != place {
			continue
		}
		part.Results = append(part.Results, r)
		if r.Probe == model.ProbeDNSA || r.Probe == model.ProbeTCP {
			require.Equal(t, model.Pass, r.Outcome, "%s %s: %s", place, r.Ref(), r.Detail.Message)
		}
	}
	requireWhole(t, part)
}

// The host step with QEMU alone, on LXD's bridge and in user mode: all that a guest
// prints arrives, to the last line. What a killed run left of its guests is removed by
// vm gc and by the next run; no LXD is asked for anything, and nothing is left.
func TestHostStepWithGuests(t *testing.T) {
	before := snapshot(t)
	require.Equal(t, "removed directory "+killedGuest(t)+"\n", gcGuests(t))
	requireSame(t, before)

	left := killedGuest(t)
	s := startGuests(t, "--environments", "runner,qemu-bridge,qemu-user", "--scenarios", "nic-models/e1000", "--ready", "10m")
	require.Zero(t, s.wait(t), s.stderr.String())
	t.Logf("%.0f s\n%s", time.Since(s.begun).Seconds(), &s.stderr)
	out, err := exec.Command(*binary, "report", s.out).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("nestlab report\n%s", out)
	run := s.run(t)
	require.Len(t, run.Notes, 1)
	require.Contains(t, run.Notes[0], "removed before anything was observed: directory "+left)
	requireGuests(t, run)
	requireSame(t, before)
}

// requireGuests checks a run of the runner and both guests, with a scenario that the
// guest's kernel is not fit for.
func requireGuests(t *testing.T, run model.Run) {
	t.Helper()
	places := []model.Place{{Environment: model.EnvRunner}, {Environment: model.EnvQEMUBridge}, {Environment: model.EnvQEMUUser}}
	kernels := map[string]string{}
	for _, f := range run.Facts {
		kernels[f.Place.Environment] = f.Kernel
	}
	require.Len(t, kernels, len(places))
	for _, p := range places {
		requirePassed(t, run, p)
		require.Equal(t, p == places[0], kernels[p.Environment] == kernels[model.EnvRunner], "a guest has a kernel of its own: %v", kernels)
	}
	require.Len(t, run.Setups, 2)
	for _, step := range run.Setups {
		require.Regexp(t, "^(kvm$|tcg: )", step.Note)
	}
	// A card that the guest's kernel has no driver of says what brings one.
	i := slices.IndexFunc(run.Results, func(r model.Result) bool { return r.Place.Scenario != "" })
	require.GreaterOrEqual(t, i, 0, "nothing says why nic-models/e1000 was not tried")
	require.Equal(t, model.Skip, run.Results[i].Outcome)
	require.Contains(t, run.Results[i].Detail.Message, "dagger call guest --stock-kernel")
}
