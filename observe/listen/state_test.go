package listen

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStopped(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]bool{"9 (dockerd) T 1": true, "9 (a) T (b) S 1": false, "9 (x) t 1": false, "9 (x) R 1": false, "": false, "9 (x)": false} {
		require.Equal(t, want, Stopped([]byte(stat)), stat)
	}
}
