package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// Whatever an honest guest has ever said is taken, as its own and of the round.
func TestDecodeGuestTakesWhatWasRecorded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../diagnose/testdata/*.jsonl")
	require.NoError(t, err)
	taken := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			var e model.Entry
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			if e.Result == nil && e.Facts == nil && e.Inspection == nil && e.Timing == nil || e.Result != nil && e.Result.Probe == model.ProbeStart {
				continue
			}
			got, err := report.DecodeGuest([]byte(line), modeltest.LXDContainer, model.RoundIntervened)
			require.NoError(t, err, "%s: %s", file, line)
			switch {
			case got.Result != nil:
				taken["result"]++
				require.Equal(t, model.RoundIntervened, got.Result.Round)
				require.Equal(t, modeltest.LXDContainer, got.Result.Place)
				require.Equal(t, e.Result.Detail.Message, got.Result.Detail.Message)
			case got.Facts != nil:
				taken["facts"]++
				require.Equal(t, modeltest.LXDContainer, got.Facts.Place)
			case got.Inspection != nil:
				taken["inspection"]++
				require.Equal(t, model.RoundIntervened, got.Inspection.Round)
			case got.Timing != nil:
				taken["timing"]++
			}
		}
	}
	require.GreaterOrEqual(t, len(taken), 3, "%v", taken)
}

// A list without end is cut, and that is said beside it.
func TestDecodeGuestCutsLists(t *testing.T) {
	t.Parallel()
	line := `{"facts":{"taken":"2026-03-01T12:00:00Z","interfaces":[` + strings.TrimSuffix(strings.Repeat(`{"addresses":[]},`, 5000), ",") + `]}}`
	e, err := report.DecodeGuest([]byte(line), modeltest.LXDContainer, model.RoundBaseline)
	require.NoError(t, err)
	require.Len(t, e.Facts.Interfaces, 1000)
	require.Equal(t, []string{"4000 entries were left out: a list may have 1000"}, e.Facts.Errors)
}
