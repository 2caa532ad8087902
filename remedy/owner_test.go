package remedy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
)

// TestOwnersOfEntries: which the next run reverts.
func TestOwnersOfEntries(t *testing.T) {
	me, err := owner.Self("me")
	require.NoError(t, err)
	reused, rebooted, elsewhere, another := me, me, me, me
	other := exec.Command("sleep", "infinity")
	require.NoError(t, other.Start())
	t.Cleanup(func() { require.NoError(t, other.Process.Kill()); require.Error(t, other.Wait()) })
	another.PID = other.Process.Pid
	another.Started, err = owner.Started(another.PID)
	require.NoError(t, err)
	reused.Started--
	rebooted.Boot = "earlier"
	elsewhere.PIDs++
	for name, c := range map[string]struct {
		by          *owner.Owner
		sole, taken bool
	}{
		"a person":                       {nil, false, false},
		"an older nestlab, run by run":   {nil, true, true},
		"a run that lives":               {&another, false, false},
		"this run, for good":             {&me, false, false},
		"another process has the number": {&reused, false, true},
		"before a reboot":                {&rebooted, false, true},
		// It would keep the host.
		"another container's":            {&elsewhere, false, true},
		"another container's, by itself": {&elsewhere, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "daemon.json")
			h := remedy.Host{Journal: filepath.Join(dir, "journal"), Owner: c.by, Sole: c.sole}
			require.NoError(t, h.Apply(t.Context(), mtu(file)))
			h.Owner = &me
			over, err := h.Over()
			require.NoError(t, err)
			taken, kept, err := h.Recover(t.Context())
			require.Equal(t, c.taken, len(taken) == 1)
			require.Equal(t, taken, over)
			require.Equal(t, c.by == nil && !c.sole || c.by == &me, len(kept) == 1)
			require.Equal(t, c.taken || len(kept) == 1, err == nil, err)
			if c.taken {
				require.NoFileExists(t, file)
			} else {
				require.FileExists(t, file)
			}
		})
	}
}

// TestAJournalOfOthersIsNotObeyed: it says which files are written.
func TestAJournalOfOthersIsNotObeyed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, journal string)
		says  string
	}{
		"written by all":     {func(t *testing.T, j string) { require.NoError(t, os.Chmod(j, 0o666)) }, "may be written by others"},
		"another user's":     {func(t *testing.T, j string) { require.NoError(t, os.Chown(j, 12, 34)) }, "belongs to user 12"},
		"a shared directory": {func(t *testing.T, j string) { require.NoError(t, os.Chmod(filepath.Dir(j), 0o777)) }, "may be written by others"},
		"a link": {func(t *testing.T, j string) {
			require.NoError(t, os.Rename(j, j+"-real"))
			require.NoError(t, os.Symlink(j+"-real", j))
		}, "is a link"},
	} {
		t.Run(name, func(t *testing.T) {
			h, file := edited(t, func(map[string]any) {})
			c.spoil(t, h.Journal)
			_, err := h.RevertAll(t.Context())
			require.ErrorContains(t, err, c.says)
			_, _, err = h.Recover(t.Context())
			require.ErrorContains(t, err, c.says)
			require.FileExists(t, file)
		})
	}
}

// TestLinksInTheWayAreNotWrittenThrough: of the lock, and of the journal that is not
// complete.
func TestLinksInTheWayAreNotWrittenThrough(t *testing.T) {
	dir := t.TempDir()
	h, victim := remedy.Host{Journal: filepath.Join(dir, "journal")}, filepath.Join(dir, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for _, name := range []string{"journal.nestlab-new", "daemon.json.nestlab-new"} {
		require.NoError(t, os.Symlink(victim, filepath.Join(dir, name)))
	}
	require.NoError(t, h.Apply(t.Context(), mtu(filepath.Join(dir, "daemon.json"))))
	text, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))
	_, err = h.RevertAll(t.Context())
	require.NoError(t, err)

	missing := filepath.Join(dir, "missing")
	require.NoError(t, os.Remove(h.Journal+".lock"))
	require.NoError(t, os.Symlink(missing, h.Journal+".lock"))
	require.ErrorIs(t, h.Apply(t.Context(), mtu(filepath.Join(dir, "daemon.json"))), syscall.ELOOP)
	require.NoFileExists(t, missing)
}
