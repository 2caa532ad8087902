package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

func TestObeyDoesOneStepAfterTheOther(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var did []order
	in := strings.NewReader(`{"start":{"request":{},"settings":{"docker":{"iptables":false}}}}` + "\n" + `{"session":{"out":"/a"}}` + `{"session":{"out":"/b"}}`)
	err := obey(t.Context(), in, &out, func(_ context.Context, o order) error {
		did = append(did, o)
		if o.Session != nil && o.Session.Out == "/a" {
			return errors.New("too dark")
		}
		return nil
	})
	require.NoError(t, err, "what goes wrong in a step is for the one who ordered it")
	require.Equal(t, []order{
		{Start: &begin{Request: json.RawMessage("{}"), Settings: faults.Settings{Docker: map[string]any{"iptables": false}}}},
		{Session: &Session{Out: "/a"}}, {Session: &Session{Out: "/b"}},
	}, did)
	require.Equal(t, "{}\n{\"error\":\"too dark\"}\n{}\n", out.String())
}

func TestObeyRefusesWhatIsNoOrder(t *testing.T) {
	t.Parallel()
	err := obey(t.Context(), strings.NewReader("please"), io.Discard, func(context.Context, order) error { return nil })
	require.ErrorContains(t, err, "starts this part itself")
}

// An interrupt ends the waiting for the next order, and nobody has to close anything.
func TestObeyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := obey(ctx, in, io.Discard, func(context.Context, order) error { return nil })
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// What is broken is told to nobody inside: neither by arguments nor by orders.
func TestFaultsStayOutside(t *testing.T) {
	t.Parallel()
	c := Config{Request: spec.NewSimulation(), Out: "/out", State: "/state", Assets: "/assets"}
	c.Request.Faults, c.Request.Environments, c.Request.Retries = faults.Names(), []string{"runner", "qemu-*"}, 3
	args, err := c.insideArgs()
	require.NoError(t, err)
	found, err := faults.Find(faults.Names())
	require.NoError(t, err)
	settings, err := faults.Merge(found)
	require.NoError(t, err)
	start, err := starting(c.Request, settings)
	require.NoError(t, err)
	orders, err := json.Marshal([]order{start, {Session: &Session{Out: "/out"}}})
	require.NoError(t, err)
	for _, name := range faults.Names() {
		require.NotContains(t, strings.Join(args, " "), name)
		require.NotContains(t, string(orders), name)
	}
	// All else is told.
	told, err := spec.Decode[spec.Simulation](bytes.NewReader(start.Start.Request))
	require.NoError(t, err)
	require.Equal(t, c.Request.Blind(), told)
}

func TestLabelNamesWhatWasBrokenAtTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, model.RunFile)
	run := model.Run{Schema: model.Schema, Version: "dev", Start: time.Unix(0, 0).UTC(), Diagnosis: model.Diagnosis{Verdict: model.Healthy, RuledOut: []model.Refuted{}}}
	require.NoError(t, session.WriteRun(path, run))
	require.NoError(t, os.WriteFile(filepath.Join(dir, model.JournalFile), nil, 0o644))
	found, err := faults.Find([]string{"nat-off", "clock-skew"})
	require.NoError(t, err)
	require.NoError(t, label(dir, found))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	labelled, err := report.Decode(f)
	require.NoError(t, err)
	require.Equal(t, []string{"nat-off", "clock-skew"}, labelled.Plan.Faults)
	require.Equal(t, model.Healthy, labelled.Diagnosis.Verdict)
	require.ErrorContains(t, label(t.TempDir(), found), "read the run")
}

// What a look is limited to is what its plan has, and what its lanes have.
func TestLookIsPlanned(t *testing.T) {
	t.Parallel()
	items := func(p model.Plan) (all []string) {
		for _, row := range p.Items {
			all = append(all, row.String()+": "+strings.Join(row.Suites, " "))
		}
		return all
	}
	p, err := Session{Environments: []string{"runner", "dind"}, Suites: []string{"docker", "network"}}.plan(spec.NewSimulation())
	require.NoError(t, err)
	require.Equal(t, []string{"runner: network docker", "dind distro/build-time: network docker", "dind distro/runtime: network docker"}, items(p))
	whole, err := Session{}.plan(spec.NewSimulation())
	require.NoError(t, err)
	want, err := spec.NewSimulation().Plan()
	require.NoError(t, err)
	require.Equal(t, want, whole)
	require.Contains(t, items(whole), "runner: network packages docker machines", "the suite of QEMU's guests is the runner's")
}

// The lanes of a runner are what was planned, in every form and with scenarios.
func TestLanesAreWhatWasPlanned(t *testing.T) {
	t.Parallel()
	change := func(f func(*spec.Simulation)) spec.Simulation {
		s := spec.NewSimulation()
		f(&s)
		return s
	}
	for name, c := range map[string]struct {
		asked spec.Simulation
		lanes int
	}{
		"all":       {spec.NewSimulation(), 4},
		"emulated":  {change(func(s *spec.Simulation) { s.Runner = spec.Emulated }), 5},
		"some":      {change(func(s *spec.Simulation) { s.Environments = []string{"lxd-*", "dind-inner"} }), 2},
		"scenarios": {change(func(s *spec.Simulation) { s.Scenarios = []string{"*"} }), 3},
		"beside": {change(func(s *spec.Simulation) {
			s.Scenarios, s.Environments, s.Runner = []string{"ping", "nic-models"}, []string{"lxd-vm"}, spec.Emulated
		}), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &runner{config: Config{Request: c.asked, Assets: t.TempDir(), State: t.TempDir()}}
			plan, err := c.asked.Plan()
			require.NoError(t, err)
			set, err := targets.Builtin(targets.Simulated)
			require.NoError(t, err)
			text, err := set.Encode()
			require.NoError(t, err)
			lanes, err := r.lanes(plan, text)
			require.NoError(t, err)
			require.Len(t, lanes, c.lanes)
			want := slices.DeleteFunc(plan.Items, func(i model.PlanItem) bool { return i.Skip != "" })
			require.ElementsMatch(t, want, session.Items(lanes))
		})
	}
}

func TestTheDockerOfASuite(t *testing.T) {
	t.Parallel()
	c := Config{Request: spec.NewSimulation(), Assets: t.TempDir()}
	c.Request.DockerFrom = spec.Sid
	// Without its programs the installed Docker would be taken for it.
	_, err := launch(t.Context(), c, io.Discard)
	require.ErrorContains(t, err, "docker/sid/dockerd")
}
