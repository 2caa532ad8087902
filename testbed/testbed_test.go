package testbed_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/testbed"
)

// Every case says what has to be named, in the names of causes that there are, and what
// it breaks it restores.
func TestCasesAreWhole(t *testing.T) {
	t.Parallel()
	all, err := testbed.All()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	var causes []string
	for _, r := range diagnose.Rules() {
		causes = append(causes, r.Cause)
	}
	for _, c := range all {
		require.Subset(t, causes, c.Expect, c.Name)
		require.Equal(t, len(c.Break) > 0, len(c.Restore) > 0, c.Name)
		found, err := testbed.Find([]string{c.Name})
		require.NoError(t, err)
		require.Equal(t, c.Name, found[0].Name)
	}
	_, err = testbed.Find([]string{testbed.Prefix + "no-such"})
	require.ErrorContains(t, err, "nestlab accuracy --list")
	own, err := testbed.Find([]string{"nat-off"})
	require.NoError(t, err)
	require.Len(t, own, 1)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"about: x":                         "needs a source and an about",
		"source: x\nabout: x\nbrake: []":   "field brake not found",
		"source: x\nabout: x\nbreak: [{}]": "a command is empty",
		"source: x\nabout: x\ndocker: {mtu: 1}\nbreak: [{command: [a]}]": "needs before_daemons",
		"\x00": "control characters",
	} {
		_, err := testbed.Parse([]byte(text))
		require.ErrorContains(t, err, says)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("source: x\nabout: y\nbreak:\n  - command: [true]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := testbed.Parse(text)
		if err != nil {
			return
		}
		require.False(t, slices.ContainsFunc(c.Break, func(x testbed.Command) bool { return len(x.Command) == 0 }))
	})
}
