package accuracy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
)

// Cases with another Docker start their own daemons, and say what they are by name.
func TestGenerationsHaveTheirOwnRunner(t *testing.T) {
	t.Parallel()
	asked := spec.Accuracy{Runner: spec.Namespaced, Cases: []string{"*@sid*", "!*public*"}}
	cases, err := Select(asked)
	require.NoError(t, err)
	suites, err := asked.DockerSuites()
	require.NoError(t, err)
	require.Equal(t, []spec.DockerSuite{spec.Sid}, suites)
	var names, keys []string
	for _, c := range cases {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"healthy-lxd-first@sid", "docker-first@sid", "docker-first@sid+nat-off"}, names)
	require.Equal(t, []string{DockerForwardDrop, "nat-off"}, cases[2].Expect)
	all, err := groups(append(cases, newCase(spec.DockerFirst)))
	require.NoError(t, err)
	for _, g := range all {
		keys = append(keys, g.key)
	}
	require.ElementsMatch(t, []string{"lxd-first@sid", "docker-first@sid", "docker-first"}, keys)
}
