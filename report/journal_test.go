package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// journalOf writes a run as a journal.
func journalOf(t testing.TB, run model.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	j := report.NewJournal(&b)
	for _, e := range run.Entries() {
		require.NoError(t, j.Append(e))
	}
	return b.Bytes()
}

// encoded is the run.json of a run: two runs are the same when theirs are.
func encoded(t testing.TB, run model.Run) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, report.Encode(&b, run))
	return b.String()
}

func TestFoldReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		run := modeltest.Random(seed)
		run.Diagnosis = model.Diagnosis{Verdict: model.Undetermined, Summary: "?", Finding: model.Finding{Confidence: model.Unsure}}
		folded, err := report.Fold(bytes.NewReader(journalOf(t, run)))
		require.NoError(t, err)
		require.Equal(t, encoded(t, run), encoded(t, folded), "seed %d", seed)
	}
}

func TestFoldOfABrokenJournal(t *testing.T) {
	t.Parallel()
	whole := modeltest.Healthy()
	lines := strings.SplitAfter(strings.TrimSuffix(string(journalOf(t, whole)), "\n"), "\n")
	last := len(lines) - 1
	results := len(whole.Results)
	tests := []struct {
		name    string
		journal string
		results int
		note    string
	}{
		{"cut in the last line", strings.Join(lines[:last], "") + lines[last][:10], results, "ends in the middle of line"},
		{"last line without its newline", strings.Join(lines, ""), results, ""},
		{"garbage in the middle", lines[0] + "!!\x00\n" + strings.Join(lines[1:], ""), results, "line 2 is not an entry"},
		{"an empty object", lines[0] + "{}\n" + strings.Join(lines[1:], ""), results, "line 2 is not an entry"},
		{"a line of 2 MiB", lines[0] + strings.Repeat("x", 2<<20) + "\n" + strings.Join(lines[1:], ""), results, "has 2097153 bytes"},
		{"two begins", strings.Join(append(lines[:1:1], lines...), ""), results, "begins a second run"},
		{"no begin", strings.Join(lines[1:], ""), results, "no readable begin line"},
		{"another schema", strings.Replace(strings.Join(lines, ""), "run/v1", "run/v9", 1), results, "nestlab.run/v9"},
		{"an outcome of a newer nestlab", strings.Replace(strings.Join(lines, ""), `"outcome":"pass"`, `"outcome":"meh"`, 1), results, `"meh"`},
		{"a reason of a newer nestlab", strings.Replace(strings.Join(lines, ""), `"reason":"no-reply"`, `"reason":"new"`, 1), results, `"new"`},
		{"blank lines", "\n" + strings.Join(lines, "\n"), results, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run, err := report.Fold(strings.NewReader(test.journal))
			require.NoError(t, err)
			require.Len(t, run.Results, test.results)
			if test.note == "" {
				require.Empty(t, run.Notes)
				return
			}
			require.Len(t, run.Notes, 1)
			require.Contains(t, run.Notes[0], test.note)
		})
	}
}

func TestFoldBoundsItsNotes(t *testing.T) {
	t.Parallel()
	run, err := report.Fold(strings.NewReader(strings.Repeat("garbage\n", 5000)))
	require.NoError(t, err)
	require.Len(t, run.Notes, 21)
	require.Equal(t, "4981 more lines of the journal could not be read", run.Notes[20])
}

func TestFoldKeepsWhatCameBeforeAReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	journal := journalOf(t, modeltest.Healthy())
	run, err := report.Fold(iotest.DataErrReader(&failing{data: journal, err: broken}))
	require.ErrorIs(t, err, broken)
	require.Len(t, run.Results, len(modeltest.Healthy().Results))
}

// failing is a reader that ends in an error.
type failing struct {
	data []byte
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

func TestFoldKeepsTheFirstFacts(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	run.Facts = append(run.Facts, model.Facts{Place: modeltest.Runner, Kernel: "later"})
	folded, err := report.Fold(bytes.NewReader(journalOf(t, run)))
	require.NoError(t, err)
	require.Len(t, folded.Facts, 6)
	require.Equal(t, "6.1.0-28-amd64", folded.Facts[0].Kernel)
	require.Contains(t, folded.Notes[0], "a second time")
}

// oneWrite counts the writes and checks that each is one line, and that no two
// are made at once.
type oneWrite struct {
	t      *testing.T
	inside atomic.Int32
	writes int
}

func (w *oneWrite) Write(p []byte) (int, error) {
	if w.inside.Add(1) > 1 {
		w.t.Error("two writes at once")
	}
	runtime.Gosched()
	w.writes++
	if bytes.Count(p, []byte{'\n'}) != 1 || !bytes.HasSuffix(p, []byte{'\n'}) {
		w.t.Errorf("not one line: %q", p)
	}
	w.inside.Add(-1)
	return len(p), nil
}

func TestAppendIsOneWriteOfOneLineForEachGoroutine(t *testing.T) {
	t.Parallel()
	w := &oneWrite{t: t}
	j := report.NewJournal(w)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := j.Append(model.Entry{Note: fmt.Sprintf("line\nof %d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 50, w.writes)
}

// What Fold would leave out for its length is cut, which a note says, and nothing of it is
// lost where it is short enough.
func TestAppendCuts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", report.MaxLine)
	many := make([]model.Interface, 50_000)
	for i := range many {
		many[i] = model.Interface{Name: fmt.Sprintf("eth%d", i), Addresses: []string{"192.0.2.1/24"}}
	}
	values := map[string]string{}
	for i := range 5000 {
		values[fmt.Sprint(i)] = long[:1000]
	}
	for _, e := range []model.Entry{
		{Note: long},
		{Facts: &model.Facts{Hostname: "h", Interfaces: many}},
		{Result: &model.Result{Probe: "p", Outcome: model.Pass, Detail: model.Detail{Message: long, Values: values}}},
		{Diagnosis: &model.Diagnosis{Verdict: model.CauseFound, Finding: model.Finding{Evidence: []model.Evidence{{Text: long}}}}},
	} {
		var b bytes.Buffer
		require.NoError(t, report.NewJournal(&b).Append(e))
		run, err := report.Fold(&b)
		require.NoError(t, err)
		require.Equal(t, 1, len(run.Facts)+len(run.Results)+len(run.Diagnosis.Evidence)+max(0, len(run.Notes)-2))
		require.Contains(t, strings.Join(run.Notes, "\n"), "the limit is 1048576")
	}
	var b bytes.Buffer
	never := model.Entry{Result: &model.Result{Start: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}}
	require.ErrorContains(t, report.NewJournal(&b).Append(never), "encode a journal entry")
	require.Zero(t, b.Len())
	require.NoError(t, report.NewJournal(&b).Append(model.Entry{Note: strings.Repeat("x", report.MaxLine-len(`{"note":""}`))}))
	run, err := report.Fold(&b)
	require.NoError(t, err)
	require.Len(t, run.Notes, 2) // itself, and that there is no begin
}

func TestAppendAfterACrashStartsANewLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	whole := journalOf(t, modeltest.Healthy())
	require.NoError(t, os.WriteFile(path, whole[:len(whole)-20], 0o600))
	file, err := os.OpenFile(path, os.O_APPEND|os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, report.NewJournal(file).Append(model.Entry{Note: "after the crash"}))
	require.NoError(t, file.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	run, err := report.Fold(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, "after the crash", run.Notes[0])
	require.Len(t, run.Notes, 2)
	require.Len(t, run.Results, len(modeltest.Healthy().Results))
}

func TestAppendAfterAFailedWriteStartsANewLine(t *testing.T) {
	t.Parallel()
	w := &halfWriter{}
	j := report.NewJournal(w)
	require.ErrorContains(t, j.Append(model.Entry{Note: "lost"}), "append to the journal: no space")
	require.NoError(t, j.Append(model.Entry{Note: "kept"}))
	run, err := report.Fold(&w.kept)
	require.NoError(t, err)
	require.Equal(t, "kept", run.Notes[0])
}

// halfWriter fails once, in the middle of a line.
type halfWriter struct {
	kept   bytes.Buffer
	failed bool
}

func (w *halfWriter) Write(p []byte) (int, error) {
	if !w.failed {
		w.failed = true
		n, _ := w.kept.Write(p[:len(p)/2])
		return n, errors.New("no space")
	}
	return w.kept.Write(p)
}

func FuzzFold(f *testing.F) {
	small := modeltest.DockerForwardDrop()
	small.Facts, small.Results, small.Watches = small.Facts[:1], small.Results[:2], small.Watches[:1]
	whole := journalOf(f, small)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{\"result\":{\"outcome\":\"\\ud800\"}}\n\x00\n{}"))
	f.Add([]byte(`{"begin":{"start":"x"}}`))
	f.Fuzz(func(t *testing.T, journal []byte) {
		run, err := report.Fold(bytes.NewReader(journal))
		require.NoError(t, err)
		again, err := report.Fold(bytes.NewReader(journalOf(t, run)))
		require.NoError(t, err)
		require.Len(t, again.Results, len(run.Results))
		for _, format := range report.Formats() {
			require.NoError(t, format.Encode(&bytes.Buffer{}, run), format.Name)
		}
	})
}
