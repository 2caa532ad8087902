package doctor_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/host/doctor"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// A doctor that is killed closes its files before its process is gone: what it changed is
// reverted all the same.
func TestGuardWaitsForTheEndOfItsDoctor(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	const setting = "/proc/sys/net/ipv4/ip_forward"
	require.NoError(t, os.WriteFile(setting, []byte("0"), 0o644))
	dying := exec.Command("sleep", "1")
	require.NoError(t, dying.Start())
	t.Cleanup(func() { require.NoError(t, dying.Wait()) })
	of, err := owner.Self("")
	require.NoError(t, err)
	of.PID = dying.Process.Pid
	of.Started, err = owner.Started(of.PID)
	require.NoError(t, err)

	journal := filepath.Join(t.TempDir(), "journal.json")
	h := remedy.Host{Journal: journal, Owner: &of}
	require.NoError(t, h.Apply(t.Context(), model.Remedy{Name: "ip-forward-on"}))
	charge, err := json.Marshal(map[string]any{"journal": journal, "doctor": of})
	require.NoError(t, err)
	require.NoError(t, doctor.Watch(t.Context(), strings.NewReader(string(charge)+"\n")))
	text, err := os.ReadFile(setting)
	require.NoError(t, err)
	require.Equal(t, "0\n", string(text))
}
