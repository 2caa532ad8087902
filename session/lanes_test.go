package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// What runs is what was planned: the places, their suites, their order in a lane.
func TestLanesAreThePlans(t *testing.T) {
	t.Parallel()
	rows := []model.PlanItem{
		{Place: model.Place{Environment: model.EnvRunner}, Suites: []string{"network", "machines"}},
		{Place: model.Place{Environment: model.EnvDind, Setup: "distro/build-time"}, Suites: []string{"docker"}},
		{Place: model.Place{Environment: model.EnvLXDVM, Scenario: "ping"}, Suites: []string{"network"}, Skip: "no KVM"},
		{Place: model.Place{Environment: model.EnvDind, Setup: "distro/runtime"}, Suites: []string{"network"}},
	}
	local := func(i model.PlanItem) (session.Environment, error) {
		return &session.Local{At: i.Place, With: []string{"all"}, Up: func(context.Context, session.Took) error { return nil }}, nil
	}
	byName := func(i model.PlanItem) string { return i.Environment }
	lanes, err := session.Lanes(rows, byName, local)
	require.NoError(t, err)
	require.Len(t, lanes, 2)
	require.Equal(t, []model.PlanItem{rows[0], rows[1], rows[3]}, session.Items(lanes))

	_, err = session.Lanes(rows, byName, func(model.PlanItem) (session.Environment, error) { return &session.Local{}, nil })
	require.ErrorContains(t, err, "which was not planned")
	broken := errors.New("no bridge")
	_, err = session.Lanes(rows, byName, func(model.PlanItem) (session.Environment, error) { return nil, broken })
	require.ErrorIs(t, err, broken)
}
