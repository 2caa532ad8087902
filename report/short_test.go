package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// told is what a person is shown of a run.
func told(t *testing.T, format string, run model.Run, s report.Style) string {
	t.Helper()
	f, err := report.FindFormat(format)
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, f.Show(&b, run, s))
	return b.String()
}

func TestShownIsGolden(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]model.Run{"proven": diagnosed(modeltest.Proven()), "healthy": diagnosed(modeltest.Healthy()), "nested": nested(), "empty": {}} {
		got, path := told(t, "diagnosis", run, report.Style{}), filepath.Join("testdata", name+".short.diagnosis.txt")
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), got, "run the tests of this package with -update when the change is meant")
		require.Equal(t, shown(t, "summary", run), told(t, "table", run, report.Style{}))
	}
}

// TestShownFits: no line is wider than there is room, but commands, which are to be copied,
// and words that have no place to break.
func TestShownFits(t *testing.T) {
	t.Parallel()
	runs := []model.Run{nested(), diagnosed(modeltest.Proven()), {}}
	for seed := range uint64(60) {
		runs = append(runs, diagnosed(modeltest.Random(seed)))
	}
	for i, run := range runs {
		for _, width := range []int{0, 60, 120} {
			for _, format := range []string{"table", "diagnosis"} {
				for line := range strings.Lines(told(t, format, run, report.Style{Width: width})) {
					line = strings.TrimSuffix(line, "\n")
					if width == 0 {
						width = 80
					}
					if strings.HasPrefix(line, "    ") || len(strings.Fields(line)) < 3 {
						continue
					}
					require.LessOrEqual(t, text.StringWidth(line), width, "run %d, %s: %s", i, format, line)
				}
			}
		}
	}
}

// TestWhatIsTheSameIsToldOnce: columns and rows that do not differ are one.
func TestWhatIsTheSameIsToldOnce(t *testing.T) {
	t.Parallel()
	run := diagnosed(modeltest.Proven())
	shown := told(t, "table", run, report.Style{})
	require.Contains(t, shown, "1 probe passes everywhere\n")
	require.Contains(t, shown, "1 probe is xfail no-reply everywhere: icmp-echo archive.lab.test\n")
	require.Equal(t, 1, strings.Count(shown, "FAIL"), shown)
	require.Equal(t, 3, strings.Count(shown, "─┼─")+strings.Count(shown, "dind run"), "two groups")
	// One that differs is spelled out again.
	i := slices.IndexFunc(run.Results, func(r model.Result) bool {
		return r.Place == modeltest.QEMUBridge && r.Round == model.RoundBaseline && r.Probe == model.ProbeHTTP
	})
	run.Results[i].Reason = model.ReadTimeout
	shown = told(t, "table", run, report.Style{})
	require.Contains(t, shown, "read-timeout")
	require.Greater(t, strings.Count(shown, "FAIL"), 2, shown)
	require.Contains(t, shown, "http http://archive.lab.test/")
	for _, p := range report.Places(run) {
		require.Contains(t, shown, p.Environment)
	}
}

// Where nothing differs there is no table to read the environments from.
func TestAHealthySummaryNamesWhatWasProbed(t *testing.T) {
	t.Parallel()
	require.Contains(t, shown(t, "summary", diagnosed(modeltest.Healthy())), "\nProbed: runner, dind build, dind run, lxd-container, qemu-bridge, qemu-user\n")
}

// What a daemon said when it ended stands in every form, whether a rule knows it or not.
func TestLastWordsAreShown(t *testing.T) {
	t.Parallel()
	run := diagnosed(modeltest.Proven())
	run.Notes = []string{"dockerd ended: failed to start daemon: the moon is in the wrong house"}
	for _, format := range []string{"table", "summary", "diagnosis", "markdown"} {
		require.Contains(t, shown(t, format, run), "the moon is in the wrong house", format)
	}
}

// A bare call prints the headline: it holds the fix, and why something did not start.
func TestHeadline(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, report.Headline(&b, nested()))
	require.Contains(t, b.String(), "(docker-forward-drop, proven)\nAffected: lxd-container, qemu-bridge\nFix (docker-user-accept):\n\n    iptables -I DOCKER-USER")
	require.Contains(t, b.String(), "\nnot-started: lxd-vm: vhost_vsock is not loaded\n")
	require.Less(t, strings.Count(b.String(), "\n"), 12)
}

func TestTheFixComesFirst(t *testing.T) {
	t.Parallel()
	run := diagnosed(modeltest.Proven())
	run.Diagnosis.Unexplained = []model.Evidence{{Text: "in runner 1 fails with other (apt-update)"}}
	for _, s := range []report.Style{{}, {Verbose: true}} {
		shown := told(t, "diagnosis", run, s)
		at := -1
		for _, part := range []string{
			run.Diagnosis.Title, "(docker-forward-drop,", "Affected: lxd-container, qemu-bridge\n", "Fix (docker-user-accept):\n\n    iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT\n",
			"Proof: ", "Evidence:\n- ", "Not explained by this:\n- in runner 1",
		} {
			next := strings.Index(shown, part)
			require.Greater(t, next, at, "%q in\n%s", part, shown)
			at = next
		}
		require.Equal(t, s.Verbose, strings.Contains(shown, "- upstream-blocks-guests: "), "what was ruled out is for who asks")
	}
	run.Diagnosis.Confidence = model.Supported
	require.Contains(t, told(t, "diagnosis", run, report.Style{}), "(docker-forward-drop, not")
}

func TestColorsAreForTerminals(t *testing.T) {
	t.Parallel()
	for _, format := range report.FormatNames() {
		plain := told(t, format, nested(), report.Style{})
		require.NotContains(t, plain, "\x1b", format)
		colored := told(t, format, nested(), report.Style{Color: true})
		require.Equal(t, format == "table" || format == "summary" || format == "diagnosis", strings.Contains(colored, "\x1b"), format)
		require.Equal(t, plain, text.StripEscape(colored), "%s: colours change no word", format)
	}
}

func TestVerboseIsTheWhole(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "diagnosis"} {
		require.Equal(t, shown(t, format, nested()), told(t, format, nested(), report.Style{Verbose: true}), fmt.Sprint(format))
	}
}
