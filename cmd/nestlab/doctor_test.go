package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// The doctor finds a fault on each bridge that has it and on no other, proves it, and
// leaves the host as it was.
func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	run, code, said := h.examine()
	require.Zero(t, code, said)
	require.Equal(t, model.Healthy, run.Diagnosis.Verdict, said)
	for _, ill := range hostFaults() {
		h.nft(ill.nft)
		for _, c := range ill.commands {
			w := strings.Fields(c)
			h.run(w[0], w[1:]...)
		}
		before, begin := h.state(), time.Now()
		run, code, said := h.examine()
		d := run.Diagnosis
		t.Logf("%4.1f s %s: %s %s %s in %v", time.Since(begin).Seconds(), ill.name, d.Verdict, d.Cause, d.Confidence, d.Environments)
		if !slices.Contains(ill.causes, d.Cause) || d.Confidence != model.Proven || !slices.Equal(d.Environments, ill.bridges) || code != exitBad {
			t.Errorf("%s: %d: %s %s, by %v; wanted %v in %v, proven\n%s\n%s", ill.name, code, d.Cause, d.Confidence, d.Environments, ill.causes, ill.bridges, d.Summary, said)
		}
		require.Empty(t, differ(before, h.state()), ill.name)
		h.repair(ill)
	}
}

// A doctor that is killed leaves nothing: what it changed goes with it.
func TestKilledDoctorLeavesNothing(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.run("iptables-nft", "-P", "FORWARD", "DROP")
	begin := time.Now()
	_, _, said := h.examine()
	whole, before := time.Since(begin), h.state()
	kills := 6
	if n, err := fmt.Sscan(os.Getenv("NESTLAB_KILLS"), &kills); n == 0 && os.Getenv("NESTLAB_KILLS") != "" {
		t.Fatal(err)
	}
	for range kills {
		after := time.Duration(rand.Int64N(int64(whole)))
		cmd := h.doctor()
		require.NoError(t, cmd.Start())
		time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
		_ = cmd.Wait()
		await.True(t, func() bool { return h.state() == before && len(h.left()) == 0 }, "killed after %s of %s, left: %s\n%s", after, whole,
			await.Said(func() string { return fmt.Sprint(differ(before, h.state()), h.left()) }), said)
	}
}

// A fix of which nobody has seen yet that it helps goes with the doctor too.
func TestKilledDoctorLeavesNoFix(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.run("iptables-nft", "-P", "FORWARD", "DROP")
	before := h.state()
	cmd := h.doctor("--fix", "--no-intervene")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "applied: ") {
	}
	require.NotEmpty(t, differ(before, h.state()), "nothing was applied")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	await.True(t, func() bool { return h.state() == before && len(h.left()) == 0 }, "what the guard has left: %s", await.Said(func() string { return fmt.Sprint(differ(before, h.state()), h.left()) }))
}

// What the doctor applied stays, works, and is reverted as every remedy.
func TestDoctorFixes(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.run("iptables-nft", "-P", "FORWARD", "DROP")
	before := h.state()
	cmd := h.doctor("--fix")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "\nfixed: firewall-forward-drop")
	run, code, said := h.examine("--no-intervene")
	require.Zero(t, code, said)
	require.Equal(t, model.Healthy, run.Diagnosis.Verdict)
	require.NotEqual(t, before, h.state())
	out, err = h.nestlab("remedy", "revert", "--journal", filepath.Join(h.dir, "journal.json")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, differ(before, h.state()))
}

// Where it cannot look the doctor says why, and what it would look at.
func TestDoctorNeedsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("somebody else than root is needed, which only root can be")
	}
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	cmd := h.nestlab("doctor")
	nobody := filepath.Join(h.dir, "nestlab")
	text, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(nobody, text, 0o755))
	require.NoError(t, errors.Join(os.Chmod(h.dir, 0o755), os.Chmod(filepath.Dir(h.dir), 0o755)))
	cmd.Path = nobody
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, exitUnobserved, cmd.ProcessState.ExitCode(), "%s", out)
	require.Contains(t, string(out), "needs root")
	require.Contains(t, string(out), "Docker network docker0")
}

// Guests of a bridge that the uplink is a port of have another router than this host: without
// an address of theirs there is nothing to be said of them.
func TestDoctorLeavesTheUplinkOut(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	for _, c := range []string{"ip link add lan0 type bridge", "ip link set lan0 up", "ip address add 192.0.2.1/24 dev lan0", "ip route add default via 192.0.2.2 dev lan0 metric 500"} {
		w := strings.Fields(c)
		h.run(w[0], w[1:]...)
	}
	run, code, said := h.examine("--bridge", "lan0")
	require.Zero(t, code, said)
	require.Equal(t, model.Healthy, run.Diagnosis.Verdict, said)
	require.Contains(t, said, "skip: the host is no router of lan0")
	require.Equal(t, []string{"lan0"}, run.Diagnosis.Skipped)
	var headline strings.Builder
	require.NoError(t, report.Headline(&headline, run))
	require.Contains(t, headline.String(), "Not looked at: lan0.", "not healthy without a word of it")
}

func TestDoctorKnowsNoSuchBridge(t *testing.T) {
	t.Parallel()
	_, _, err := executed(t, newDoctorCommand(), "--bridge", "nl-none")
	require.ErrorContains(t, err, "no such bridge: nl-none")
	require.Equal(t, exitUsage, exitCode(err))
}
