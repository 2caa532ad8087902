package vm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFirstErrors: what went wrong first is kept of a long log, what follows of it is not.
func TestFirstErrors(t *testing.T) {
	t.Parallel()
	first := `lxc c1 20261201043711.8 ERROR    conf - newuidmap: uid range [0-1000000000) not allowed` + "\n"
	follows := strings.Repeat("lxc c1 20261201043711.9 ERROR    start - Failed to spawn container\n", 99)
	got := firstErrors("lxc c1 20261201043711.7 WARN     conf - a warning\n" + first + follows)
	require.True(t, strings.HasPrefix(got, first), got)
	require.LessOrEqual(t, len(got), tailSize)
	require.Equal(t, "qemu: no such thing", firstErrors("qemu: no such thing"))
	require.Empty(t, firstErrors(""))
}
