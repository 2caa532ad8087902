package accuracy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/simulate"
)

// Cases with another Docker start their own daemons, and say what they are by name.
func TestGenerationsHaveTheirOwnRunner(t *testing.T) {
	t.Parallel()
	cases, err := Select(Cases(), []string{"*@sid*"})
	require.NoError(t, err)
	require.Equal(t, []string{"sid"}, DockerSuites(cases))
	var names, keys []string
	for _, c := range cases {
		names = append(names, c.Name)
	}
	require.Equal(t, []string{"healthy-lxd-first@sid", "docker-first@sid", "docker-first@sid+nat-off"}, names)
	require.Equal(t, []string{DockerForwardDrop, "nat-off"}, cases[2].Expect)
	all, err := groups(append(cases, newCase(simulate.DockerFirst)))
	require.NoError(t, err)
	for _, g := range all {
		keys = append(keys, g.key)
	}
	require.ElementsMatch(t, []string{"lxd-first@sid", "docker-first@sid", "docker-first"}, keys)
}
