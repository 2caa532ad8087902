package facts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
)

func TestParseListed(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		lines []string
		wants facts.Listed
	}{
		"nothing":  {nil, facts.Listed{}},
		"policy":   {[]string{"-P FORWARD DROP -c 24 2516"}, facts.Listed{Policy: "DROP", Packets: 24, Bytes: 2516}},
		"brackets": {[]string{"-P FORWARD DROP [24:2516]"}, facts.Listed{Policy: "DROP", Packets: 24, Bytes: 2516}},
		"none":     {[]string{"-P FORWARD ACCEPT"}, facts.Listed{Policy: "ACCEPT"}},
		"warnings": {[]string{"# Warning: iptables-legacy tables present", "", "-N X"}, facts.Listed{}},
		"jumps":    {[]string{"-A X -c 1 2 -j Y", "-A X -g Z", "-A X -j ACCEPT", "-A X", "-A X -m comment --comment c"}, facts.Listed{Jumps: []string{"Y", "Z"}}},
		"drop": {
			[]string{"-A X -i a -c 1 2 -j DROP"},
			facts.Listed{Drops: []model.DropRule{{Chain: "X", Rule: "-A X -i a -j DROP", Packets: 1, Bytes: 2}}},
		},
		"counters last": {
			[]string{"-A X -j DROP -c 1 2"},
			facts.Listed{Drops: []model.DropRule{{Chain: "X", Rule: "-A X -j DROP", Packets: 1, Bytes: 2}}},
		},
		"a comment is no option": {
			[]string{`-A X -m comment --comment "-j DROP" -c 1 2 -j ACCEPT`, `-A X -m comment --comment "a \" -j DROP" -j Y`},
			facts.Listed{Jumps: []string{"Y"}},
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			c.wants.Chain = "X"
			got, err := facts.ParseListed("X", c.lines)
			require.NoError(t, err)
			require.Equal(t, c.wants, got)
		})
	}
}

func TestParseListedRefuses(t *testing.T) {
	t.Parallel()
	for line, wants := range map[string]string{
		"-P FORWARD":                        "no policy",
		"-P":                                "too short",
		"Chain FORWARD (policy DROP)":       "neither policy, chain nor rule",
		"-A X -c x y -j DROP":               "packet counter",
		"-A X -c 1 99999999999999999999999": "byte counter",
		"? " + strings.Repeat("x", 1000):    "neither",
	} {
		_, err := facts.ParseListed("X", []string{line})
		require.ErrorContains(t, err, wants)
		require.Less(t, len(err.Error()), 200)
	}
}

func FuzzParseListed(f *testing.F) {
	for _, s := range []string{
		"-P FORWARD DROP -c 24 2516", "-A X -c 1 2 -j DROP", `-A X -m comment --comment "a \" -j DROP" -j Y`, "-A X -j DROP [1:2]", "-A X -c", "\"", "-A \\", "-A X -j",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := facts.ParseListed("X", strings.Split(text, "\n"))
		if err != nil {
			return
		}
		for _, d := range got.Drops {
			require.Equal(t, "X", d.Chain)
			// A rule that was shown is a rule again, and no count is left in it.
			again, err := facts.ParseListed("X", []string{d.Rule})
			require.NoError(t, err, d.Rule)
			require.Len(t, again.Drops, 1, d.Rule)
		}
	})
}

func TestParseOSRelease(t *testing.T) {
	t.Parallel()
	got, err := facts.ParseOSRelease(strings.NewReader("NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_ID=\"24.04\"\n# PRETTY_NAME=no\nPRETTY_NAME='Ubuntu \\\"Noble\\\"'\nHOME_URL=x=y\n"))
	require.NoError(t, err)
	require.Equal(t, model.OS{ID: "ubuntu", Version: "24.04", Name: `Ubuntu "Noble"`}, got)
	_, err = facts.ParseOSRelease(strings.NewReader(strings.Repeat("x", 1<<20)))
	require.ErrorContains(t, err, "read os-release")
}

func FuzzParseOSRelease(f *testing.F) {
	f.Add("ID=a\nVERSION_ID=\"")
	f.Add("PRETTY_NAME='\\'\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := facts.ParseOSRelease(strings.NewReader(text)); err != nil {
			require.Greater(t, len(text), 1<<15)
		}
	})
}
