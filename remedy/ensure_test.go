package remedy_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// What only the journal has of a remedy, as after a restart of the firewall, is made again.
func TestEnsure(t *testing.T) {
	machine(t)
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	r := model.Remedy{Name: catalogue.AcceptBefore, Parameters: of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge)}
	before := run(t, "iptables-nft", "-S")
	for _, want := range []bool{true, false} { // the second finds it there
		made, err := h.Ensure(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, want, made)
	}
	with := run(t, "iptables-nft", "-S")
	require.NotEqual(t, before, with)
	run(t, "iptables-nft", "-D", "FORWARD", "-i", bridge, "-m", "comment", "--comment", "nestlab", "-j", "ACCEPT")
	made, err := h.Ensure(t.Context(), r)
	require.NoError(t, err)
	require.True(t, made)
	require.Equal(t, with, run(t, "iptables-nft", "-S"))
	require.NoError(t, h.Revert(t.Context(), r))
	require.Equal(t, before, run(t, "iptables-nft", "-S"))
}
