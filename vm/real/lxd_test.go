//go:build e2e

package real

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/await"
)

// started is a run of nestlab that goes on.
type started struct {
	cmd    *exec.Cmd
	out    string
	stderr bytes.Buffer
	begun  time.Time
}

func start(t *testing.T, more ...string) *started {
	t.Helper()
	s := &started{out: filepath.Join(scratch, strings.ReplaceAll(t.Name(), "/", "-"), fmt.Sprint(time.Now().UnixNano())), begun: time.Now()}
	s.cmd = exec.Command(*binary, vmRun(s.out, more...)...)
	s.cmd.Stderr = &s.stderr
	require.NoError(t, s.cmd.Start())
	s.killed(t, func() { gc(t) })
	return s
}

// wait waits for the end and gives the exit code. One that is stuck when the tests' time
// is over says where.
func (s *started) wait(t *testing.T) int {
	t.Helper()
	stuck := context.AfterFunc(await.Context(t), func() { s.cmd.Process.Signal(syscall.SIGQUIT) })
	defer stuck()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// until waits for what comes while it runs.
func (s *started) until(t *testing.T, condition func() bool) {
	t.Helper()
	await.True(t, func() bool {
		if condition() {
			return true
		}
		var ended unix.Siginfo
		err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, &ended, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		require.NoError(t, err)
		require.Zero(t, ended.Signo, "it ended before: %s", &s.stderr)
		return false
	}, "%s", &s.stderr)
}

// journal is what the run has in its journal, which may not be there yet.
func (s *started) journal(t *testing.T) model.Run {
	t.Helper()
	f, err := os.Open(filepath.Join(s.out, "journal.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return model.Run{}
	}
	require.NoError(t, err)
	defer f.Close()
	run, err := report.Fold(f)
	require.NoError(t, err)
	return run
}

// run is the run's file.
func (s *started) run(t *testing.T) model.Run {
	t.Helper()
	f, err := os.Open(filepath.Join(s.out, "run.json"))
	require.NoError(t, err, s.stderr.String())
	defer f.Close()
	run, err := report.Decode(f)
	require.NoError(t, err)
	return run
}

// whole is how long a run takes that nobody disturbs.
func whole(t *testing.T) time.Duration {
	t.Helper()
	s := start(t, "--image", alias)
	require.Zero(t, s.wait(t), s.stderr.String())
	run := s.run(t)
	require.Empty(t, run.Notes)
	requireWhole(t, run)
	return time.Since(s.begun)
}

// requireWhole checks that nothing is missing: two names in both families, two
// connections and an echo.
func requireWhole(t *testing.T, run model.Run) {
	t.Helper()
	n := map[string]int{}
	for _, r := range run.Results {
		n[r.Probe]++
	}
	for probe, want := range map[string]int{model.ProbeDNSA: 2, model.ProbeDNSAAAA: 2, model.ProbeTCP: 2, model.ProbeICMP: 1} {
		require.Equal(t, want, n[probe], probe)
	}
}

func results(run model.Run) []model.Result {
	var found []model.Result
	for _, r := range run.Results {
		if r.Outcome != model.Skip {
			found = append(found, r)
		}
	}
	return found
}

// lost is the result that says that the place was lost.
func lost(t *testing.T, run model.Run) model.Result {
	t.Helper()
	i := slices.IndexFunc(run.Results, func(r model.Result) bool { return r.Reason == model.Lost })
	require.GreaterOrEqual(t, i, 0, "nothing says that the place was lost")
	return run.Results[i]
}

// unborn reports whether an interrupt ended the run before it listened for any: a Go
// program takes some milliseconds until then.
func (s *started) unborn() bool {
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// moment draws one out of a run's time.
func moment(of time.Duration) time.Duration { return time.Duration(moments.Int64N(int64(of))) }

// gc removes what was left and says what that was.
func gc(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(*binary, "vm", "gc", "--lxd", socket).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// An interrupt at any moment ends the run soon, with its own exit code, keeps what
// was observed, and leaves nothing.
func TestInterruptedAtAnyMoment(t *testing.T) {
	before := snapshot(t)
	length := whole(t)
	t.Logf("a run takes %.1f s", length.Seconds())
	for _, image := range []string{alias, filepath.Join(*assets, "lxd.tar")} {
		for range *points / 2 {
			at := moment(length)
			s := start(t, "--image", image)
			time.Sleep(at)
			seen := len(s.journal(t).Results)
			require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
			code := s.wait(t)
			if s.unborn() {
				t.Logf("interrupted after %.3f s, before it had begun", at.Seconds())
				require.NoDirExists(t, s.out)
				requireSame(t, before)
				continue
			}
			t.Logf("interrupted after %.1f s with %d results: %d, ended %.1f s later", at.Seconds(), seen, code, (time.Since(s.begun) - at).Seconds())
			require.Contains(t, []int{0, 130}, code, s.stderr.String())
			if code != 0 {
				require.Contains(t, s.stderr.String(), "nestlab: ")
				require.Contains(t, s.stderr.String(), "interrupted by SIGINT")
			}
			requireSame(t, before, fmt.Sprintf("interrupted after %s, image %s\n%s", at, image, &s.stderr))
			kept := s.journal(t)
			require.GreaterOrEqual(t, len(kept.Results), seen)
			if len(kept.Results) > 0 {
				require.Len(t, s.run(t).Results, len(kept.Results), "the run and its journal differ")
			}
		}
	}
}

// After kill -9 the next start removes what is there, and so does vm gc; dry, it
// only says so.
func TestKilledAtAnyMoment(t *testing.T) {
	before := snapshot(t)
	length := whole(t)
	left := 0
	for _, image := range []string{alias, filepath.Join(*assets, "lxd.tar")} {
		for i := range *points / 2 {
			at := moment(length)
			s := start(t, "--image", image)
			time.Sleep(at)
			seen := len(s.journal(t).Results)
			require.NoError(t, s.cmd.Process.Kill())
			s.wait(t)
			require.GreaterOrEqual(t, len(s.journal(t).Results), seen)
			var said string
			if i == 0 {
				again := start(t, "--image", image)
				require.Zero(t, again.wait(t), again.stderr.String())
				requireWhole(t, again.run(t))
				said = strings.Join(again.run(t).Notes, "\n")
			} else {
				said = gc(t)
			}
			t.Logf("killed after %.1f s with %d results: %s", at.Seconds(), seen, strings.TrimSpace(said))
			left += len(said)
			requireSame(t, before, fmt.Sprintf("killed after %s, image %s: %s", at, image, said))
		}
	}
	require.Positive(t, left, "nothing was ever left: this shows nothing")
}

// gc says what it would do, and does it when asked to; what is not nestlab's stays.
func TestGC(t *testing.T) {
	before := snapshot(t)
	s := start(t, "--image", filepath.Join(*assets, "lxd.tar"))
	s.until(t, func() bool { return len(s.journal(t).Results) > 0 })
	require.NoError(t, s.cmd.Process.Kill())
	s.wait(t)
	out, err := exec.Command(*binary, "vm", "gc", "--dry-run", "--lxd", socket).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("nestlab vm gc --dry-run\n%s", out)
	require.Contains(t, string(out), "would remove instance nestlab-lxd-container\n")
	require.NotContains(t, strings.ReplaceAll(string(out), "would remove", ""), "remove")
	require.Equal(t, strings.ReplaceAll(string(out), "would remove", "removed"), gc(t))
	require.Empty(t, gc(t))
	requireSame(t, before)
}

// A second run beside one that is at work leaves its instance, says whose it is, and so
// does gc.
func TestASecondRunLeavesTheFirst(t *testing.T) {
	before := snapshot(t)
	image := filepath.Join(*assets, "lxd.tar")
	first := start(t, "--image", image)
	first.until(t, func() bool { return len(first.journal(t).Results) > 0 })
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGSTOP), "it is still at it when the second one looks")
	second := start(t, "--image", image)
	require.Zero(t, second.wait(t), second.stderr.String())
	out, err := exec.Command(*binary, "vm", "gc", "--lxd", socket).CombinedOutput()
	require.Error(t, err)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGCONT))
	require.Zero(t, first.wait(t), first.stderr.String())

	requireWhole(t, first.run(t))
	id := first.run(t).ID
	says := "instance nestlab-lxd-container stays: it is of run " + id + " (pid "
	require.Contains(t, string(out), says)
	require.Contains(t, strings.Join(second.run(t).Notes, "\n"), says)
	not := second.run(t).Results[0]
	require.Equal(t, model.NotStarted, not.Reason)
	require.Contains(t, not.Detail.Message, says)
	requireSame(t, before)
}
