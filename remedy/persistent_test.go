package remedy_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// uncomment takes the changes of the remedy below away, as a restart of the firewall does.
func uncomment(t *testing.T) {
	t.Helper()
	run(t, "iptables-nft", "-D", "FORWARD", "-i", bridge, "-m", "comment", "--comment", "nestlab", "-j", "ACCEPT")
}

// What something has undone is not made persistent: what it names may be another rule now.
func TestPersistOnlyWhatIsThere(t *testing.T) {
	machine(t)
	h, list := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}, filepath.Join(t.TempDir(), "list")
	r := model.Remedy{Name: catalogue.AcceptBefore, Parameters: of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge)}
	require.NoError(t, h.Apply(t.Context(), r))
	uncomment(t)
	_, err := h.Persist(t.Context(), list, r)
	require.ErrorContains(t, err, "something has undone it")
	all, err := remedy.Persisted(list)
	require.NoError(t, err)
	require.Empty(t, all)
	require.NoError(t, h.Revert(t.Context(), r))
}

// What was taken off the list after it was read is not applied again.
func TestReleasedWhileRestored(t *testing.T) {
	machine(t)
	h, list := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}, filepath.Join(t.TempDir(), "list")
	r := model.Remedy{Name: catalogue.AcceptBefore, Parameters: of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge)}
	before := run(t, "iptables-nft", "-S")
	require.NoError(t, h.Apply(t.Context(), r))
	_, err := h.Persist(t.Context(), list, r)
	require.NoError(t, err)
	uncomment(t)
	again, err := h.RestoreOne(t.Context(), list, r)
	require.NoError(t, err)
	require.NotNil(t, again)
	left, err := remedy.Unpersist(t.Context(), list, r)
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, h.Revert(t.Context(), r))
	again, err = h.RestoreOne(t.Context(), list, r)
	require.NoError(t, err)
	require.Nil(t, again)
	require.Equal(t, before, run(t, "iptables-nft", "-S"))
}
