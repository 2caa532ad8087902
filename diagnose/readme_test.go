package diagnose_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/report"
)

// textBlock is a block of output in a document.
var textBlock = regexp.MustCompile("(?s)```text\n(.*?)```")

// TestTheREADMEShowsRealOutput: what README prints is what the kept run prints, though not
// all of it.
func TestTheREADMEShowsRealOutput(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	run := recorded(t, "whole-run.jsonl")
	run.Diagnosis = diagnose.Diagnose(run)
	var printed strings.Builder
	for _, name := range []string{"diagnosis", "table"} {
		format, err := report.FindFormat(name)
		require.NoError(t, err)
		require.NoError(t, format.Show(&printed, run, report.Style{}))
	}
	rest := printed.String()
	blocks := textBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 2)
	for _, b := range blocks {
		for line := range strings.Lines(b[1]) {
			_, after, found := strings.Cut("\n"+rest, "\n"+line)
			require.True(t, found, "%q is not printed, or not in this order", line)
			rest = after
		}
	}
	require.LessOrEqual(t, len(strings.Fields(string(text))), 1000, "README is for a first look: docs/ has the rest")
}
