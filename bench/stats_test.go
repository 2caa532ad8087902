package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRow(t *testing.T) {
	t.Parallel()
	s := samples{
		What: "a thing", OursIs: "ours", TheirsIs: "theirs",
		Ours: []float64{1.2, 1, 1.1, 1.3, 0.9, 1.15, 1.05}, Theirs: []float64{2.2, 2.0, 2.1, 2.3, 1.9, 2.15, 2.05},
	}
	r, err := newRow(s)
	require.NoError(t, err)
	require.InDelta(t, 1.1, r.Ours.Median, 1e-9)
	require.InDelta(t, 2.1, r.Theirs.Median, 1e-9)
	require.InDelta(t, 2.1/1.1, r.Ratio, 1e-9)
	require.True(t, r.Different)
	require.Less(t, r.P, 0.01)
	require.NotNil(t, r.Ours.Low)
	require.InDelta(t, 0.9, *r.Ours.Low, 1e-9)
	require.InDelta(t, 1.3, *r.Ours.High, 1e-9)
	require.GreaterOrEqual(t, r.Ours.Confidence, confidence)
	require.InDelta(t, 1.2, s.Ours[0], 1e-9, "the caller's samples stay in their order")
}

// That we are slower is said as plainly as that we are faster.
func TestRowSlower(t *testing.T) {
	t.Parallel()
	r, err := newRow(samples{Ours: []float64{4, 4.1, 4.2, 4.3, 4.4, 4.5}, Theirs: []float64{2, 2.1, 2.2, 2.3, 2.4, 2.5}})
	require.NoError(t, err)
	require.Less(t, r.Ratio, 1.0)
	require.Equal(t, "0.53", r.ratio())
}

func TestFewRepeats(t *testing.T) {
	t.Parallel()
	r, err := newRow(samples{What: "w", Ours: []float64{1, 3}, Theirs: []float64{15, 15.5}})
	require.NoError(t, err)
	require.Nil(t, r.Ours.Low)
	require.Equal(t, "2.00 s (1.00 to 3.00)", r.Ours.String())
	require.Equal(t, "7.62 ?", r.ratio(), "two repeats show no difference, however large it looks")
	_, err = json.Marshal(r)
	require.NoError(t, err, "an infinite bound has no place in JSON")
}

func TestNoDifference(t *testing.T) {
	t.Parallel()
	same := []float64{1, 2, 3, 4, 5, 6, 7}
	r, err := newRow(samples{Ours: same, Theirs: same})
	require.NoError(t, err)
	require.Equal(t, "1.00 ?", r.ratio())
}

func TestRowNeedsSamples(t *testing.T) {
	t.Parallel()
	for _, s := range []samples{{Theirs: []float64{1}}, {Ours: []float64{1}}, {Ours: []float64{0}, Theirs: []float64{1}}} {
		_, err := newRow(s)
		require.Error(t, err)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r, err := newRow(samples{What: "w", OursIs: "o", TheirsIs: "t", Ours: []float64{1}, Theirs: []float64{2, 3}})
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, writeTable(&text, []row{r}))
	require.Equal(t, []string{"w", "o", "t", "1.00", "s", "(1.00", "to", "1.00)", "2.50", "s", "(2.00", "to", "3.00)", "2.50", "?", "1+2"},
		strings.Fields(strings.Split(text.String(), "\n")[1]))
	require.Contains(t, text.String(), "above 1, ours is faster")
}

// One measurement that is counted twice has no spread.
func TestRowRefusesRepeatedSamples(t *testing.T) {
	t.Parallel()
	_, err := newRow(samples{What: "w", OursIs: "o", TheirsIs: "t", Ours: []float64{0.849, 0.8491}, Theirs: []float64{2, 3}})
	require.ErrorContains(t, err, "equal to the millisecond")
	_, err = newRow(samples{What: "w", OursIs: "o", TheirsIs: "t", Ours: []float64{0.849, 0.849, 0.851}, Theirs: []float64{2, 3}})
	require.NoError(t, err, "two of three may be equal by chance")
}
