package faults_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world/faults"
)

func TestTheDocumentationListsEveryFault(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/accuracy.md")
	require.NoError(t, err)
	for _, f := range faults.All() {
		require.Contains(t, string(text), "| `"+f.Name+"` | "+f.About+" |")
	}
}
