//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A README is finished: no place is held open, no block of output is empty.
func TestReadmeIsWhole(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.NotContains(t, string(text), "@"+"@")
	parts := strings.Split(string(text), "```")
	for i := 1; i < len(parts); i += 2 {
		_, body, _ := strings.Cut(parts[i], "\n")
		require.NotEmpty(t, strings.TrimSpace(body), "an empty block after %.60q", parts[i-1])
	}
}
