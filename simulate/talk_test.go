package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/world/faults"
)

func TestObeyDoesOneStepAfterTheOther(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var did []order
	in := strings.NewReader(`{"start":{"docker":{"iptables":false}}}` + "\n" + `{"session":{"out":"/a"}}` + `{"session":{"out":"/b"}}`)
	err := obey(t.Context(), in, &out, func(_ context.Context, o order) error {
		did = append(did, o)
		if o.Session != nil && o.Session.Out == "/a" {
			return errors.New("too dark")
		}
		return nil
	})
	require.NoError(t, err, "what goes wrong in a step is for whoever ordered it")
	require.Equal(t, []order{
		{Start: &faults.Settings{Docker: map[string]any{"iptables": false}}},
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
	c := Config{Order: LXDFirst, Faults: faults.Names(), Out: "/out", State: "/state", Assets: "/assets"}
	args, err := c.insideArgs()
	require.NoError(t, err)
	found, err := faults.Find(faults.Names())
	require.NoError(t, err)
	settings, err := faults.Merge(found)
	require.NoError(t, err)
	orders, err := json.Marshal([]order{{Start: &settings}, {Session: &Session{Out: "/out"}}})
	require.NoError(t, err)
	for _, name := range faults.Names() {
		require.NotContains(t, strings.Join(args, " "), name)
		require.NotContains(t, string(orders), name)
	}
}

func TestValidateRefusesUnknownFaults(t *testing.T) {
	t.Parallel()
	err := Config{Order: LXDFirst, Faults: []string{"gremlins"}}.Validate()
	require.ErrorContains(t, err, "gremlins")
	require.ErrorContains(t, err, "nat-off", "the known ones are listed")
	require.NoError(t, Config{Order: LXDFirst, Faults: []string{"nat-off"}}.Validate())
}

func TestLabelNamesWhatWasBrokenAtTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, session.RunFile)
	run := model.Run{Schema: model.Schema, Version: "dev", Start: time.Unix(0, 0).UTC(), Diagnosis: model.Diagnosis{Verdict: model.Healthy, RuledOut: []model.Refuted{}}}
	require.NoError(t, session.WriteRun(path, run))
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

type place struct {
	session.Environment
	at model.Place
}

func (p place) Place() model.Place { return p.at }
func (p place) Suites() []string   { return []string{"network", "packages", "docker"} }

func TestSessionLimitsPlacesAndSuites(t *testing.T) {
	t.Parallel()
	at := func(name string) session.Environment { return place{at: model.Place{Environment: name}} }
	lanes := [][]session.Environment{{at("runner")}, {at("container"), at("dind")}, {at("lxd-container")}}
	require.Equal(t, lanes, Session{}.limit(lanes))
	kept := Session{Environments: []string{"runner", "dind"}, Suites: []string{"docker", "network"}}.limit(lanes)
	require.Equal(t, []model.PlanItem{
		{Place: model.Place{Environment: "runner"}, Suites: []string{"network", "docker"}},
		{Place: model.Place{Environment: "dind"}, Suites: []string{"network", "docker"}},
	}, session.Items(kept))
	require.Equal(t, []string{"network", "packages", "docker"}, lanes[0][0].Suites(), "the environment itself is as it was")
}

func TestTheDockerOfASuite(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Config{Order: LXDFirst, DockerFrom: "potato"}.Validate(), "bookworm, trixie, sid", "the known ones are listed")
	c := Config{Order: LXDFirst, DockerFrom: "sid", Assets: t.TempDir()}
	require.NoError(t, c.Validate())
	args, err := c.insideArgs()
	require.NoError(t, err)
	require.Contains(t, strings.Join(args, " "), "--docker-from sid")
	// Without its programs the installed Docker would be taken for it.
	_, err = launch(t.Context(), c, io.Discard)
	require.ErrorContains(t, err, "docker/sid/dockerd")
	require.Equal(t, "sid", c.plan(&session.Session{}).DockerFrom)
}
