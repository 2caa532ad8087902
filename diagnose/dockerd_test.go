package diagnose_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// ended is a run in which a daemon of dind left this log behind.
func ended(log string) model.Run {
	return lostStart(modeltest.DindRun, "dockerd ended by itself: exit status 1; the end of dockerd.log:\n"+log)
}

// logOf28 is the end of what a dockerd 28.5.2 wrote that did not start.
func logOf28(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "dockerd28", name+".log"))
	require.NoError(t, err)
	return string(text)
}

// TestWhatDockerd28Says: its last words name the cause. What it says at the level
// info is in every log, of a daemon in good health as well.
func TestWhatDockerd28Says(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ cause, says string }{
		"iptables":       {diagnose.CauseDockerdIPTables, "Could not fetch rule set generation id: Invalid argument (exit status 4)"},
		"address-pool":   {diagnose.CauseDockerdConfig, "default-address-pools"},
		"storage-driver": {diagnose.CauseStorageDriver, "error initializing graphdriver: prerequisites for driver not satisfied (wrong filesystem?): btrfs"},
	} {
		log := logOf28(t, name)
		require.Contains(t, log, `level=info msg="[graphdriver] trying configured driver`, name)
		run := ended(log)
		d := diagnose.Diagnose(run)
		require.Equal(t, want.cause, d.Cause, "%s: %s", name, d.Summary)
		require.Empty(t, d.Further, d.Summary)
		require.Contains(t, evidenceText(d), want.says)
		requireResolved(t, run, d)
	}
}

// TestALogWithoutLastWords: a daemon that was ended, or is being waited for. Lines at
// the level error count, others do not.
func TestALogWithoutLastWords(t *testing.T) {
	t.Parallel()
	log, _, found := strings.Cut(logOf28(t, "iptables"), "failed to start daemon")
	require.True(t, found)
	d := diagnose.Diagnose(ended(log))
	require.Equal(t, diagnose.CauseDaemonFailed, d.Cause, "what is at the level info names no cause")
	log = `time="2026-03-01T12:00:00Z" level=error msg="[graphdriver] prior storage driver overlay2 failed: driver not supported"` + "\n" + log
	require.Equal(t, diagnose.CauseStorageDriver, diagnose.Diagnose(ended(log)).Cause)
}
