package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// TestSymptoms goes through the table of symptoms.
func TestSymptoms(t *testing.T) {
	t.Parallel()
	for _, s := range symptoms {
		t.Run(s.seen, func(t *testing.T) {
			t.Parallel()
			run := s.run()
			d := diagnose.Diagnose(run)
			switch s.cause {
			case "":
				require.Equal(t, model.Healthy, d.Verdict, d.Summary)
			case unknown:
				require.Equal(t, model.Undetermined, d.Verdict, d.Summary)
			default:
				require.Equal(t, s.cause, d.Cause, d.Summary)
			}
			requireResolved(t, run, d)
		})
	}
}
