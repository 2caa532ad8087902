package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// place is an environment whose process is written in the test.
type place struct {
	name  string
	start func(ctx context.Context, took session.Took) error
	exec  func(ctx context.Context, c session.Command) (int, error)

	mu      sync.Mutex
	stopped int
}

func (p *place) Place() model.Place { return model.Place{Environment: p.name} }
func (p *place) Suites() []string   { return []string{"network"} }

func (p *place) Start(ctx context.Context, took session.Took) error {
	if p.start == nil {
		return nil
	}
	return p.start(ctx, took)
}

func (p *place) Exec(ctx context.Context, c session.Command) (int, error) { return p.exec(ctx, c) }

func (p *place) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped++
	return ctx.Err() // an interrupt must not reach the cleaning up
}

// prints is a process that prints the lines and ends with the code.
func prints(code int, lines ...string) func(context.Context, session.Command) (int, error) {
	return func(_ context.Context, c session.Command) (int, error) {
		for _, l := range lines {
			if _, err := io.WriteString(c.Stdout, l); err != nil {
				return -1, err
			}
		}
		return code, nil
	}
}

// line is a journal line with one passing result.
func line(t *testing.T, target string) string {
	t.Helper()
	text, err := json.Marshal(model.Entry{Result: &model.Result{
		Place: model.Place{Environment: "what the environment calls itself"}, Round: model.RoundBaseline,
		Probe: model.ProbeTCP, Target: target, Attempt: 1, Outcome: model.Pass,
	}})
	require.NoError(t, err)
	return string(text) + "\n"
}

type journal struct {
	mu      sync.Mutex
	entries []model.Entry
}

func (j *journal) append(e model.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, e)
	return nil
}

func run(t *testing.T, ctx context.Context, places ...*place) (model.Run, *journal, error) {
	t.Helper()
	j := &journal{}
	var lane []session.Environment
	for _, p := range places {
		lane = append(lane, p)
	}
	var progress bytes.Buffer
	s := &session.Session{
		Lanes: [][]session.Environment{lane}, Targets: []byte("targets"), Platform: "unknown",
		ProbeTimeout: 2 * time.Second, Append: j.append, Progress: &progress,
	}
	r, err := s.Run(ctx, model.Plan{Items: session.Items(s.Lanes)}, "test")
	for _, p := range places {
		require.Equal(t, 1, p.stopped, "%s was stopped %d times", p.name, p.stopped)
	}
	return r, j, err
}

// the is the one result of a place that could not be observed.
func the(t *testing.T, r model.Run, name string) model.Result {
	t.Helper()
	i := slices.IndexFunc(r.Results, func(x model.Result) bool { return x.Environment == name && x.Probe == model.ProbeStart })
	require.GreaterOrEqual(t, i, 0, "nothing says that %s could not be observed", name)
	return r.Results[i]
}

func count(r model.Run, name string) int {
	n := 0
	for _, x := range r.Results {
		if x.Environment == name && x.Probe != model.ProbeStart {
			n++
		}
	}
	return n
}

// breakage is a way in which probing a place goes wrong.
type breakage struct {
	name string
	exec func(context.Context, session.Command) (int, error)
	kept int
	says string
}

func breakages(t *testing.T) []breakage {
	t.Helper()
	first, second := line(t, "a:1"), line(t, "b:1")
	return []breakage{
		{"dies in the middle of a line", func(ctx context.Context, c session.Command) (int, error) {
			_, err := prints(0, first, `{"result":{"probe":"tcp-co`)(ctx, c)
			return -1, errors.Join(err, errors.New("the connection broke"))
		}, 1, "the connection broke"},
		{"ends with a code", func(ctx context.Context, c session.Command) (int, error) {
			fmt.Fprintln(c.Stderr, "no such suite")
			return prints(2, first, second)(ctx, c)
		}, 2, "no such suite"},
		{"hangs", func(ctx context.Context, c session.Command) (int, error) {
			if _, err := prints(0, first)(ctx, c); err != nil {
				return -1, err
			}
			<-ctx.Done()
			return -1, ctx.Err()
		}, 1, context.DeadlineExceeded.Error()},
		{"prints a line without end", func(ctx context.Context, c session.Command) (int, error) {
			return prints(0, first, string(bytes.Repeat([]byte("x"), 3<<20)))(ctx, c)
		}, 1, "too long"},
	}
}

func TestResultsAreOfThePlaceThatWasStarted(t *testing.T) {
	t.Parallel()
	var stdin []byte
	p := &place{name: model.EnvRunner, exec: func(ctx context.Context, c session.Command) (int, error) {
		var err error
		if stdin, err = io.ReadAll(c.Stdin); err != nil {
			return -1, err
		}
		return prints(0, line(t, "a:1"), line(t, "b:1"))(ctx, c)
	}}
	r, j, err := run(t, t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, 2, count(r, model.EnvRunner))
	require.Equal(t, "targets", string(stdin))
	require.Equal(t, model.Healthy, r.Diagnosis.Verdict)
	require.NotNil(t, j.entries[0].Begin, "a journal begins with the plan")
}

func TestBrokenEnvironmentsKeepWhatWasSeen(t *testing.T) {
	t.Parallel()
	for _, c := range breakages(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			broken := &place{name: model.EnvLXDContainer, exec: c.exec}
			healthy := &place{name: model.EnvRunner, exec: prints(0, line(t, "a:1"))}
			r, j, err := run(t, t.Context(), broken, healthy)
			require.NoError(t, err)
			require.Equal(t, c.kept, count(r, model.EnvLXDContainer))
			require.Equal(t, 1, count(r, model.EnvRunner), "one broken environment took another with it")
			lost := the(t, r, model.EnvLXDContainer)
			require.Equal(t, model.Error, lost.Outcome)
			require.Equal(t, model.Lost, lost.Reason)
			require.Contains(t, lost.Detail.Message, c.says)
			require.NotEqual(t, model.Healthy, r.Diagnosis.Verdict)
			require.NotEmpty(t, j.entries)
		})
	}
}

func TestGarbageIsANote(t *testing.T) {
	t.Parallel()
	p := &place{name: model.EnvRunner, exec: prints(0, "Killed\n", line(t, "a:1"))}
	r, _, err := run(t, t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, 1, count(r, model.EnvRunner))
	require.Empty(t, r.Notes, "it is not the host who says so")
	require.Len(t, r.GuestNotes, 1)
	require.Equal(t, p.Place(), r.GuestNotes[0].Place)
	require.Contains(t, r.GuestNotes[0].Note, "Killed")
}

func TestAnEnvironmentThatDoesNotStart(t *testing.T) {
	t.Parallel()
	p := &place{name: model.EnvDind, exec: prints(0), start: func(context.Context, session.Took) error {
		return errors.New("no space left")
	}}
	r, _, err := run(t, t.Context(), p)
	require.NoError(t, err)
	failed := the(t, r, model.EnvDind)
	require.Equal(t, model.NotStarted, failed.Reason)
	require.Contains(t, failed.Detail.Message, "no space left")
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	first := &place{name: model.EnvRunner, exec: prints(0, line(t, "a:1"))}
	second := &place{name: model.EnvContainer, exec: func(ctx context.Context, _ session.Command) (int, error) {
		cancel()
		<-ctx.Done()
		return -1, ctx.Err()
	}}
	r, _, err := run(t, ctx, first, second)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, count(r, model.EnvRunner), "what was observed before the interrupt is lost")
}

func TestWhatIsStartedSurvivesItsStart(t *testing.T) {
	t.Parallel()
	var started context.Context
	p := &place{name: model.EnvRunner, start: func(ctx context.Context, took session.Took) error {
		started = ctx
		took(model.StepStart, time.Now(), time.Second, "")
		return nil
	}}
	p.exec = func(ctx context.Context, c session.Command) (int, error) {
		if err := started.Err(); err != nil {
			return -1, err
		}
		return prints(0, line(t, "a:1"))(ctx, c)
	}
	r, _, err := run(t, t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, 1, count(r, model.EnvRunner))
	require.Len(t, r.Setups, 1)
}

// A start has a limit as a whole, and one that does not notice it does not hold
// the run up.
func TestAStartThatTakesTooLong(t *testing.T) {
	t.Parallel()
	slow := &place{name: model.EnvLXDVM, start: func(ctx context.Context, _ session.Took) error {
		<-ctx.Done()
		return fmt.Errorf("wait for the agent: %w", ctx.Err())
	}}
	well := &place{name: model.EnvRunner, exec: prints(0, line(t, "a"))}
	j := &journal{}
	s := &session.Session{
		Lanes: [][]session.Environment{{slow, well}}, ProbeTimeout: 2 * time.Second, StartTimeout: 50 * time.Millisecond,
		Append: j.append, Progress: io.Discard,
	}
	r, err := s.Run(t.Context(), model.Plan{}, "test")
	require.NoError(t, err)
	got := the(t, r, model.EnvLXDVM)
	require.Equal(t, model.DeadlineExceeded, got.Reason)
	require.Equal(t, model.Error, got.Outcome)
	require.Contains(t, got.Detail.Message, "given up after 50ms: wait for the agent")
	require.Equal(t, 1, slow.stopped)
	require.Equal(t, 1, count(r, model.EnvRunner))
}

// What is swept is noted, and that it cannot be swept as well: the run goes on.
func TestSweep(t *testing.T) {
	t.Parallel()
	well := &place{name: model.EnvRunner, exec: prints(0, line(t, "a"))}
	j := &journal{}
	s := &session.Session{
		Lanes: [][]session.Environment{{well}}, ProbeTimeout: 2 * time.Second, Append: j.append, Progress: io.Discard,
		Host: session.Host{Sweep: func(context.Context) ([]string, error) {
			return []string{"instance a"}, errors.New("image b is in use")
		}},
	}
	r, err := s.Run(t.Context(), model.Plan{}, "test")
	require.NoError(t, err)
	require.Equal(t, []string{
		"an earlier run was killed while it had made something; removed before anything was observed: instance a",
		"remove what an earlier run left: image b is in use",
	}, r.Notes)
	require.Equal(t, 1, count(r, model.EnvRunner))
}
