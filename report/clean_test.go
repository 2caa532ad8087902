package report_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

const order = "\x1b[2J\x1b]0;title\a\n::error::pwned\r\n  ::add-mask::x\n##[error]pwned ##vso[task]\u202e"

// requireHarmless checks that a text gives no orders to a terminal or a CI service.
func requireHarmless(t *testing.T, text string) {
	t.Helper()
	require.NotRegexp(t, `[\x00-\x09\x0b-\x1f\x{202e}]|(?m)^\s*::[a-z]|##(vso)?\[`, text)
}

func TestLine(t *testing.T) {
	t.Parallel()
	line := report.Line(order)
	requireHarmless(t, line)
	require.NotContains(t, line, "\n")
	require.Contains(t, line, " | ::error::pwned | ", "what is not at the start of a line is none")
	requireHarmless(t, report.Line("::error::pwned"))
	require.Equal(t, "::1 and 2001:db8::1 are addresses", report.Line("::1 and 2001:db8::1 are addresses"))
	lines := report.Lines("check failed:\n  cause: a\n" + order)
	requireHarmless(t, lines)
	require.Contains(t, lines, "failed:\n  cause: a\n")
}

// The verdict and all that is for people give no orders, whatever a run holds.
func TestVerdictOfHostileTexts(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	run.Results[0].Outcome, run.Results[0].Detail.Message = model.Fail, order
	run.GuestNotes = []model.GuestNote{{Place: modeltest.LXDContainer, Note: order}}
	run.Diagnosis = model.Diagnosis{Verdict: model.CauseFound, Summary: order, Finding: model.Finding{Cause: order, Confidence: order}}
	ok, lines := report.Verdict(run)
	require.False(t, ok)
	requireHarmless(t, strings.Join(lines, "\n"))
	for _, encode := range []report.Encoder{report.Table, report.Markdown, report.DiagnosisText, report.TAP} {
		var out bytes.Buffer
		require.NoError(t, encode(&out, run))
		requireHarmless(t, out.String())
	}
}

// However a text comes, each line is handed on clean and when it has ended, and one
// without an end does not fill the memory.
func TestLineWriter(t *testing.T) {
	t.Parallel()
	text := "one\n" + strings.ReplaceAll(order, "\r", "") + "\n\n" + strings.Repeat("x", 20<<10) + "\nlast"
	for _, size := range []int{1, 7, 4096, len(text)} {
		var out bytes.Buffer
		w := &report.LineWriter{To: &out}
		for at := 0; at < len(text); at += size {
			_, err := io.WriteString(w, text[at:min(at+size, len(text))])
			require.NoError(t, err)
		}
		requireHarmless(t, out.String())
		require.True(t, strings.HasPrefix(out.String(), "one\n"))
		require.Equal(t, 20<<10, strings.Count(out.String(), "x")-strings.Count(order, "x"))
		require.NotContains(t, out.String(), "last")
	}
}
