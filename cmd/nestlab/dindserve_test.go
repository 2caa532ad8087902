package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// A daemon that does not start ends with the cause that its last words tell.
func TestExplain(t *testing.T) {
	t.Parallel()
	failed := &session.DaemonError{Err: errors.New("dockerd ended"), Daemon: model.Daemon{
		Program: "dockerd", State: model.DaemonExited, ExitCode: 1,
		Log: []string{"failed to start daemon: Error initializing network controller: list bridge addresses failed: PredefinedLocalScopeDefaultNetworks List: [10.87.0.0/24]: no available network"},
	}}
	err := explain(fmt.Errorf("serve: %w", failed))
	require.ErrorContains(t, err, "serve: dockerd ended\ncause: ")
	require.ErrorContains(t, err, "(docker-address-pools)")
	other := errors.New("not a daemon's")
	require.Equal(t, other, explain(other))
	require.NoError(t, explain(nil))
}

func TestServeRefusesBeforeItRuns(t *testing.T) {
	t.Parallel()
	_, _, err := executed(t, newRootCommand(), "dind", "serve", "--storage-driver", "aufs")
	require.ErrorContains(t, err, "overlay2, vfs")
	require.Equal(t, exitUsage, exitCode(err))
}
