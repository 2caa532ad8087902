package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
)

// guestRole makes the test binary a hostile nestlab: a way of HostileFloods, or words.
const guestRole = "NESTLAB_TEST_GUEST"

const gigabyte = 1 << 30

func TestMain(m *testing.M) {
	how := os.Getenv(guestRole)
	if how == "" || len(os.Args) < 2 || os.Args[1] != "probe" {
		os.Exit(m.Run())
	}
	err := errors.New("these were its last words")
	if how == "words" {
		_, err = io.WriteString(os.Stdout, modeltest.HostileWords())
	} else if failed := modeltest.Flood(how, gigabyte, os.Stdout, os.Stderr); failed != nil {
		err = failed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\x1b[2J::error::", err)
		os.Exit(1)
	}
}

// beside is a run of a place beside others that are well, with real files.
func beside(t *testing.T, guest session.Environment) (run model.Run, progress string) {
	t.Helper()
	well := func(name string) *place {
		return &place{name: name, exec: prints(0, line(t, modeltest.HostileTarget), line(t, "b:1"))}
	}
	var said bytes.Buffer
	s := &session.Session{
		Lanes:   [][]session.Environment{{well(model.EnvRunner), guest, well(model.EnvQEMUBridge)}},
		Targets: []byte("targets"), Platform: "unknown", ProbeTimeout: time.Minute, Progress: &said,
		Host: session.Host{Observe: func(context.Context) ([]model.ForwardChain, []string) { return []model.ForwardChain{}, nil }},
	}
	dir := t.TempDir()
	require.NoError(t, s.Write(t.Context(), dir, model.Plan{Command: "vm", Items: session.Items(s.Lanes)}, "test", nil))
	return requireEqualToJournal(t, dir), said.String()
}

// requireEqualToJournal checks that the run of a directory is what its journal says.
func requireEqualToJournal(t *testing.T, dir string) model.Run {
	t.Helper()
	text, err := os.ReadFile(dir + "/" + model.RunFile)
	require.NoError(t, err)
	require.NoError(t, report.Validate(text))
	run, err := report.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	journal, err := os.Open(dir + "/" + model.JournalFile)
	require.NoError(t, err)
	defer journal.Close()
	folded, err := report.Fold(journal)
	require.NoError(t, err)
	var again bytes.Buffer
	require.NoError(t, report.Encode(&again, folded))
	require.Equal(t, string(text), again.String(), "the run and its journal differ")
	return run
}

// Whatever a guest says, it says it of itself.
func TestWordsOfAHostileGuest(t *testing.T) {
	t.Setenv(guestRole, "words")
	run, progress := beside(t, &session.Local{At: modeltest.LXDContainer, With: []string{"network"}})
	own, others := 0, 0
	for _, r := range run.Results {
		require.NotContains(t, r.Target+r.Probe+r.Detail.Message, modeltest.Evil)
		if r.Place != modeltest.LXDContainer {
			others++
			require.Equal(t, model.Pass, r.Outcome)
			continue
		}
		own++
		require.Equal(t, model.RoundBaseline, r.Round)
		require.Equal(t, model.Fail, r.Outcome, "the first one counts")
	}
	require.Equal(t, 4, others)
	require.Equal(t, 2, own)
	require.Len(t, run.Watches, 3)
	for _, w := range run.Watches {
		require.Empty(t, w.After)
	}
	require.Empty(t, run.Interventions)
	require.NotEqual(t, modeltest.Evil, run.Plan.Command)
	require.Nil(t, run.Diagnosis.Remedy)
	require.NotContains(t, run.Diagnosis.Cause+run.Diagnosis.Summary, modeltest.Evil)
	require.Empty(t, run.Notes, "what a guest says is no note of the host")
	require.Len(t, run.GuestNotes, 21)
	require.Contains(t, run.GuestNotes[20].Note, "more lines were no observations")
	for _, n := range run.GuestNotes {
		require.Equal(t, modeltest.LXDContainer, n.Place)
	}
	require.NotRegexp(t, regexp.MustCompile(`[\x00-\x09\x0b-\x1f]|(?m)^\s*::|##\[`), progress)
}

// A gigabyte on any channel costs the host no memory, and the others nothing.
func TestFloodsOfAHostileGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves gigabytes")
	}
	for how := range modeltest.HostileFloods() {
		t.Run(how, func(t *testing.T) {
			t.Setenv(guestRole, how)
			require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
			before := peak(t)
			run, progress := beside(t, &session.Local{At: modeltest.LXDContainer, With: []string{"network"}})
			grown := peak(t) - before
			t.Logf("%d MiB, %d results, %d notes", grown>>20, len(run.Results), len(run.GuestNotes))
			require.Less(t, grown, int64(256<<20))
			require.Equal(t, 2, count(run, model.EnvQEMUBridge), "another place was lost with it")
			lost := the(t, run, model.EnvLXDContainer)
			require.Equal(t, model.Lost, lost.Reason)
			if how == "log" {
				require.Contains(t, lost.Detail.Message, "bytes cut) … xxx")
				require.Contains(t, lost.Detail.Message, "these were its last words")
			} else {
				require.Regexp(t, "printed too much: more than|token too long", lost.Detail.Message)
			}
			require.LessOrEqual(t, len(lost.Detail.Message), model.MaxMessage)
			require.LessOrEqual(t, len(run.GuestNotes), 21)
			require.Less(t, len(progress), 128<<10)
		})
	}
}

// peak is the most memory that this process has had since clear_refs, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kib << 10
}

// One long error, of the probing or of the start, costs its place alone.
func TestLongErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2<<20)
	for _, broken := range []*place{
		{exec: func(_ context.Context, c session.Command) (int, error) {
			_, err := io.WriteString(c.Stderr, long)
			return 1, err
		}},
		{exec: prints(0), start: func(context.Context, session.Took) error { return errors.New(long) }},
		{exec: prints(0), start: func(_ context.Context, took session.Took) error {
			took(model.StepStart, time.Now(), time.Second, long)
			return nil
		}},
	} {
		broken.name = model.EnvLXDContainer
		run, progress := beside(t, broken)
		require.Equal(t, 2, count(run, model.EnvQEMUBridge))
		require.NotEmpty(t, run.Diagnosis.Verdict)
		require.Less(t, len(progress), 64<<10)
	}
}

// A run that is interrupted has no diagnosis, and none that a guest made up.
func TestInterruptedRunHasNoDiagnosis(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	forger := &place{name: model.EnvLXDContainer, exec: prints(0, modeltest.HostileWords())}
	last := &place{name: model.EnvQEMUBridge, exec: func(ctx context.Context, _ session.Command) (int, error) {
		cancel()
		<-ctx.Done()
		return -1, ctx.Err()
	}}
	s := &session.Session{Lanes: [][]session.Environment{{forger, last}}, ProbeTimeout: time.Minute, Progress: io.Discard}
	dir := t.TempDir()
	require.ErrorIs(t, s.Write(ctx, dir, model.Plan{}, "test", nil), context.Canceled)
	run := requireEqualToJournal(t, dir)
	require.Equal(t, model.Diagnosis{Finding: model.Finding{Evidence: []model.Evidence{}}, RuledOut: []model.Refuted{}}, run.Diagnosis)
	require.NotEmpty(t, run.Notes)
}

// What has no JSON form once a clock was put right is a note, and no end of the run.
func TestATimeThatHasNoForm(t *testing.T) {
	t.Parallel()
	late := model.Result{Probe: model.ProbeTCP, Target: "a", Attempt: 1, Outcome: model.Pass, Start: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)}
	var out bytes.Buffer
	require.NoError(t, report.NewJournal(&out).Append(model.Entry{Result: &late}))
	slow := machine{place: &place{name: model.EnvLXDVM, exec: prints(0, out.String())}, log: &log{}}
	other := machine{place: &place{name: model.EnvQEMUUser, exec: prints(0, line(t, "a"))}, log: &log{}}
	run := runMachines(t, true, slow, other)
	require.Equal(t, 1, count(run, model.EnvQEMUUser))
	require.Zero(t, count(run, model.EnvLXDVM))
	require.Contains(t, strings.Join(run.Notes, "\n"), "encode a journal entry")
}

// offered is a place that asked for its address itself.
type offered struct{ place }

func (*offered) Offers() []model.DHCPOffer {
	return []model.DHCPOffer{{Interface: "eth0", Server: netip.MustParseAddr("10.77.0.1")}}
}

// What a place was offered stands before what came of asking again, as the place inspects itself.
func TestOffersAreInTheInspection(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(model.Entry{Inspection: &model.Inspection{Place: model.Place{Environment: model.EnvBridge}, Round: model.RoundBaseline,
		Interfaces: []model.Interface{}, Routes: []model.Route{}, Neighbours: []model.Neighbour{}, Resolvers: []string{}, DHCP: []model.DHCPOffer{{Interface: "eth0", Error: "none"}},
	}})
	require.NoError(t, err)
	asked := &offered{place{name: model.EnvBridge, exec: prints(0, line(t, "a:1"), string(text)+"\n")}}
	run, _ := beside(t, asked)
	require.Len(t, run.Inspections, 1)
	require.Equal(t, append(asked.Offers(), model.DHCPOffer{Interface: "eth0", Error: "none"}), run.Inspections[0].DHCP)
}
