package probe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// The device is opened where machines are asked for, and nowhere else.
func TestKVMIsAskedForByName(t *testing.T) {
	t.Parallel()
	var seen []model.Result
	for _, r := range observe(t, &targets.Set{}, nil, model.SuiteMachines) {
		if r.Probe == model.ProbeKVM {
			seen = append(seen, r)
		}
	}
	require.Len(t, seen, 1)
	switch r := seen[0]; r.Outcome {
	case model.Skip:
		require.Equal(t, model.NotApplicable, r.Reason)
	case model.Fail:
		require.Equal(t, model.Permission, r.Reason)
	default:
		require.Equal(t, model.Pass, r.Outcome)
	}
	for _, r := range observe(t, &targets.Set{}, nil) {
		require.NotEqual(t, model.ProbeKVM, r.Probe)
	}
}

// A program that tries one address only is told from one that tries all.
func TestFirstAddressTriesOne(t *testing.T) {
	t.Parallel()
	closed := "127.0.0.1:9"
	for _, r := range observe(t, &targets.Set{TCP: []string{closed, "127.0.0.1:8"}}, nil, model.SuiteNetwork) {
		if r.Probe == model.ProbeFirst {
			want(t, r, model.Refused)
			require.Equal(t, closed, r.Target)
			require.Len(t, r.Detail.Dials, 1)
			return
		}
	}
	require.Fail(t, "it was not probed")
}
