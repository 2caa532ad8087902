package report_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// Files that were written before sentences came after values are read as they were meant.
func TestFilesOfEarlierVersionsAreRead(t *testing.T) {
	t.Parallel()
	want := diagnosed(modeltest.Proven()).Diagnosis
	for i := range want.Evidence {
		want.Evidence[i].Loss = nil // there was none
	}
	for _, name := range []string{"run.json", "journal.jsonl"} {
		file, err := os.Open(filepath.Join("testdata", "former", name))
		require.NoError(t, err)
		run, err := report.Read(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Empty(t, run.Notes)
		require.Len(t, run.Results, len(modeltest.Proven().Results), name)
		require.NotEmpty(t, run.Diagnosis.Evidence)
		for i, e := range run.Diagnosis.Evidence {
			require.NotEmpty(t, e.Text, name)
			require.Equal(t, want.Evidence[i].Refs, e.Refs)
		}
		require.NotEmpty(t, run.Diagnosis.Proof.Text)
		require.Equal(t, want.Proof.Rounds, run.Diagnosis.Proof.Rounds)
	}
}
