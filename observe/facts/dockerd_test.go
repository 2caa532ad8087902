package facts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// journal puts a journalctl of that text first in PATH.
func journal(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestDockerdLog(t *testing.T) {
	journal(t, `i=0; while [ $i -lt 40 ]; do echo "line $i"; i=$((i+1)); done; printf '%0900d\n' 0`)
	lines, err := DockerdLog(t.Context())
	require.NoError(t, err)
	require.Len(t, lines, dockerdLines)
	require.Equal(t, "line 11", lines[0])
	require.Equal(t, strings.Repeat("0", dockerdWidth)+"…", lines[dockerdLines-1])
}

func TestDockerdLogOfNone(t *testing.T) {
	journal(t, "exit 0")
	lines, err := DockerdLog(t.Context())
	require.NoError(t, err)
	require.Empty(t, lines)
}

func TestDockerdLogWithoutJournal(t *testing.T) {
	journal(t, `echo "No journal files were found." >&2; exit 1`)
	_, err := DockerdLog(t.Context())
	require.ErrorContains(t, err, "journalctl")
	require.ErrorContains(t, err, "No journal files were found.")
}

func TestDockerdLogWithoutSystemd(t *testing.T) {
	tail, err := exec.LookPath("tail")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(tail, filepath.Join(dir, "tail")))
	t.Setenv("PATH", dir) // no journalctl
	before := dockerdFiles
	t.Cleanup(func() { dockerdFiles = before })
	dockerdFiles = []string{filepath.Join(t.TempDir(), "docker.log"), filepath.Join(t.TempDir(), "dockerd.log")}
	_, err = DockerdLog(t.Context())
	require.ErrorContains(t, err, dockerdFiles[0])
	require.NoError(t, os.WriteFile(dockerdFiles[1], []byte(strings.Repeat("old\n", 1<<16)+"failed to start daemon\n"), 0o600))
	lines, err := DockerdLog(t.Context())
	require.NoError(t, err)
	require.Len(t, lines, dockerdLines)
	require.Equal(t, "failed to start daemon", lines[dockerdLines-1])
}
