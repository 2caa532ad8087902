package model_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// one sets a field of an entry, and nothing else.
func one(field int) model.Entry {
	var e model.Entry
	f := reflect.ValueOf(&e).Elem().Field(field)
	if f.Kind() == reflect.String {
		f.SetString("a note")
		return e
	}
	f.Set(reflect.New(f.Type().Elem()))
	switch {
	case e.Begin != nil:
		e.Begin.Start = "2026-03-01T12:00:00Z"
	case e.Diagnosis != nil:
		e.Diagnosis.Verdict = model.Healthy
	case e.Labels != nil:
		e.Labels.Faults = []string{"nat-off"}
	}
	return e
}

// TestEveryKindOfEntryIsAdded: what Entry can hold, a run takes, and its own entries have.
func TestEveryKindOfEntryIsAdded(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[model.Entry]().NumField() {
		kind := reflect.TypeFor[model.Entry]().Field(i).Name
		e := one(i)
		require.NoError(t, e.Check(), kind)
		var run, again model.Run
		require.NoError(t, run.Add(e), kind)
		require.NotEqual(t, model.Run{}, run, "%s is lost", kind)
		for _, e := range run.Entries() {
			require.NoError(t, again.Add(e), kind)
		}
		require.Equal(t, run, again, "the entries of a run with %s make another one", kind)
	}
	require.ErrorIs(t, new(model.Run).Add(model.Entry{}), model.ErrNotOne)
	require.ErrorIs(t, new(model.Run).Add(model.Entry{Note: "x", Facts: &model.Facts{}}), model.ErrNotOne)
	require.Error(t, new(model.Run).Add(model.Entry{Begin: &model.Begin{Start: "noon"}}))
}

func TestEntriesMakeTheRunAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		run := modeltest.Random(seed)
		var again model.Run
		for _, e := range run.Entries() {
			require.NoError(t, again.Add(e))
		}
		require.Equal(t, run, again, "seed %d", seed)
	}
}
