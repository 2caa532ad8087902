package remedy_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// A rule in a chain that iptables cannot read any more is not forgotten.
func TestRevertInAChainThatIPTablesCannotRead(t *testing.T) {
	machine(t)
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	r := model.Remedy{Name: catalogue.AcceptBefore, Parameters: of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge)}
	before := run(t, "iptables-nft", "-S")
	require.NoError(t, h.Apply(t.Context(), r))
	run(t, "nft", "add", "rule", "ip", "filter", "FORWARD", "ct", "state", "established,related", "accept")
	err := h.Revert(t.Context(), r)
	require.ErrorContains(t, err, "cannot read the chain FORWARD")
	applied, err := h.Applied()
	require.NoError(t, err)
	require.Len(t, applied, 1)
	run(t, "nft", "delete", "rule", "ip", "filter", "FORWARD", "handle", handleOf(t, "ct state established,related accept"))
	require.NoError(t, h.Revert(t.Context(), r))
	require.Equal(t, before, run(t, "iptables-nft", "-S"))
}
