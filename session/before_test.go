package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// Why a daemon is down is evidence: the diagnosis has to find it in the run.
func TestWhatDidNotStartIsNotedBeforeTheDiagnosis(t *testing.T) {
	t.Parallel()
	dir, before := t.TempDir(), errors.New("dockerd ended by itself")
	s := &session.Session{Platform: "unknown", ProbeTimeout: time.Second, Progress: &bytes.Buffer{}}
	require.ErrorIs(t, s.Write(t.Context(), dir, model.Plan{}, "test", before), before)
	text, err := os.ReadFile(filepath.Join(dir, session.JournalFile))
	require.NoError(t, err)
	var order []string
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var e model.Entry
		require.NoError(t, json.Unmarshal(line, &e))
		switch {
		case e.Note != "":
			require.Equal(t, before.Error(), e.Note)
			order = append(order, "note")
		case e.Diagnosis != nil:
			order = append(order, "diagnosis")
		}
	}
	require.Equal(t, []string{"note", "diagnosis"}, order, "once, and in time")
}
