//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestMain names the CLI on PATH to the SDK, which would else go looking for one
// on the network.
func TestMain(m *testing.M) {
	cli, err := exec.LookPath("dagger")
	if err == nil {
		err = os.Setenv("_EXPERIMENTAL_DAGGER_CLI_BIN", cli)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, `find dagger: run "make test", or set up this shell with eval "$(make -s engine-env)":`, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, call := range last.calls {
		fmt.Println("failed:", call)
	}
	os.Exit(code)
}
