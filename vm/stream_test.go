package vm_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

// Send hands over output as it comes, to the byte, and the command's own code.
func TestSend(t *testing.T) {
	t.Parallel()
	port := filepath.Join(t.TempDir(), "port")
	require.NoError(t, syscall.Mkfifo(port, 0o600))
	got := make(chan string)
	go func() {
		text, err := os.ReadFile(port)
		if err != nil {
			text = []byte(err.Error())
		}
		got <- string(text)
	}()
	var log strings.Builder
	code, err := vm.Send(t.Context(), port, "t0", []string{"sh", "-c", "cat; printf more; echo log >&2; exit 7"}, strings.NewReader("in\n"), &log)
	require.NoError(t, err)
	require.Equal(t, 7, code)
	require.Equal(t, "\x00begin t0\nin\nmore\x00end t0\n", <-got)
	require.Equal(t, "log\n", log.String())
	_, err = vm.Send(t.Context(), filepath.Join(t.TempDir(), "none", "x"), "t0", []string{"true"}, nil, &log)
	require.ErrorContains(t, err, "open the port")
}
