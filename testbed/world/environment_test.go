package world

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePathThatComesFirst(t *testing.T) {
	t.Parallel()
	require.Contains(t, runnerEnvironment([]string{"PATH=/bin"}, ""), "PATH=/bin")
	require.Contains(t, runnerEnvironment([]string{"PATH=/bin", "A=b"}, "/opt/docker"), "PATH=/opt/docker:/bin")
	require.Contains(t, runnerEnvironment(nil, "/opt/docker"), "PATH=/opt/docker:"+defaultPath)
}
