package report_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

func TestDecodeReadsWhatEncodeWrote(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		run := modeltest.Random(seed)
		text := encoded(t, run)
		decoded, err := report.Decode(strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, text, encoded(t, decoded), "seed %d", seed)
		require.NotContains(t, text, ": null")
	}
}

func TestEncodeLeavesTheRunAsItIs(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	slices.Reverse(run.Results)
	first := run.Results[0].Ref()
	encoded(t, run)
	require.Equal(t, first, run.Results[0].Ref())
	require.Nil(t, run.Facts[1].Forward)
}

func TestEncodeTellsThatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	for _, f := range report.Formats() {
		require.ErrorIs(t, f.Encode(brokenWriter{}, modeltest.Proven()), errBroken, f.Name)
	}
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                            "not the whole of a JSON object",
		`{"schema":"nestlab.run/v1"`:  "fold its journal instead",
		`[]`:                          "not the whole of a JSON object",
		`{}`:                          `there is no "schema"`,
		`{"schema":"nestlab.run/v2"}`: `has schema "nestlab.run/v2", this nestlab reads nestlab.run/v1: use the nestlab that wrote it`,
		`{"schema":"other\u001b/v1"}`: `"other\x1b/v1", not nestlab.run/v1`,
		`{"schema":"nestlab.run/v1","results":7}`: "does not have that form",
	} {
		_, err := report.Decode(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
	_, err := report.Decode(iotest.ErrReader(errBroken))
	require.ErrorIs(t, err, errBroken)
}

func TestReadTellsTheTwoFormsApart(t *testing.T) {
	t.Parallel()
	want := encoded(t, modeltest.Proven())
	compact := strings.Join(strings.Fields(strings.ReplaceAll(want, "\n", "")), " ")
	for name, text := range map[string]string{
		"run.json": want, "run.json in one line": compact, "journal": string(journalOf(t, modeltest.Proven())),
	} {
		run, err := report.Read(strings.NewReader(text))
		require.NoError(t, err, name)
		require.Equal(t, want, encoded(t, run), name)
	}
}

func TestReadOfWhatIsNoRun(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 "it is empty",
		" \n\n":            "it is empty",
		"hello\nworld\n":   "neither a run.json nor a journal",
		want[:len(want)/2]: "fold its journal instead",
		`{"a":1}`:          "neither a run.json nor a journal",
		string(bytes.Repeat([]byte{0xff, '\n'}, 99)): "neither a run.json nor a journal",
	} {
		_, err := report.Read(strings.NewReader(text))
		require.ErrorContains(t, err, want, "%.40q", text)
	}
	_, err := report.Read(iotest.ErrReader(errBroken))
	require.ErrorIs(t, err, errBroken)
}

// want is a run.json to cut in two.
const want = "{\n  \"schema\": \"nestlab.run/v1\",\n  \"version\": \"v0.1.0\",\n  \"plan\": {}\n}\n"

func TestReadOfAJournalThatHasOnlyBegun(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	run.Facts, run.Results, run.Watches, run.Setups = nil, nil, nil, nil
	read, err := report.Read(bytes.NewReader(journalOf(t, run)))
	require.NoError(t, err)
	ok, lines := report.Verdict(read)
	require.False(t, ok)
	require.Contains(t, lines, "lxd-container: planned, but there are no results of it")
	require.Contains(t, lines, "nothing was observed")
	require.Equal(t, model.Schema, read.Schema)
}
