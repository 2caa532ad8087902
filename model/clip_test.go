package model_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// A text is cut once: what was cut is short enough, and says how much is missing.
func TestClip(t *testing.T) {
	t.Parallel()
	require.Equal(t, "short", model.Clip("short", 64))
	for _, long := range []string{"run it: " + strings.Repeat("x", 5000) + ": no such file", strings.Repeat("ä", 3000), strings.Repeat("\xff", 3000)} {
		cut := model.Clip(long, 1000)
		require.LessOrEqual(t, len(cut), 1000)
		require.True(t, utf8.ValidString(cut))
		require.Equal(t, cut, model.Clip(cut, 1000))
	}
	cut := model.Clip("run it: "+strings.Repeat("x", 5000)+": no such file", 1000)
	require.Contains(t, cut, "(4070 bytes cut)")
	require.True(t, strings.HasPrefix(cut, "run it: x") && strings.HasSuffix(cut, ": no such file"))
}

func TestClipOfAResult(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	r := model.Result{Probe: long, Target: long, Detail: model.Detail{Message: long, Output: long, Values: map[string]string{"location": long, long: "a"}}}
	for range 1000 {
		r.Detail.Dials = append(r.Detail.Dials, model.Dial{Address: long})
		r.Detail.Values[fmt.Sprint(len(r.Detail.Values))] = long
	}
	r.Clip()
	size := len(r.Probe) + len(r.Target) + len(r.Detail.Message) + len(r.Detail.Output)
	for _, d := range r.Detail.Dials {
		size += len(d.Address)
	}
	for name, v := range r.Detail.Values {
		size += len(name) + len(v)
	}
	require.Less(t, size, 1<<20)
}
