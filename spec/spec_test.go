package spec_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
)

// fill gives every field of a struct a value of its own.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Struct:
			fill(t, f)
		case reflect.String:
			f.SetString("text")
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Int, reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"one", "two"}))
		case reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{"key": "value"}))
		default:
			t.Fatalf("%s is of a kind that this test does not know", v.Type().Field(i).Name)
		}
	}
}

// The part inside is told everything but the faults: a new field is told by itself.
func TestBlindHidesTheFaultsAlone(t *testing.T) {
	t.Parallel()
	var s spec.Simulation
	fill(t, reflect.ValueOf(&s).Elem())
	s.Faults = spec.Faults()
	blind := s.Blind()
	require.Empty(t, blind.Faults)
	require.Equal(t, spec.Faults(), s.Faults, "the request itself stays")
	text, err := json.Marshal(blind)
	require.NoError(t, err)
	for _, name := range spec.Faults() {
		require.NotContains(t, string(text), name)
	}
	blind.Faults = s.Faults
	require.Equal(t, s, blind)
}

// requests are some of each kind, away from their defaults.
func requests(t *testing.T) []spec.Request {
	s := spec.NewSimulation()
	s.Order, s.DockerFrom, s.Environments, s.Scenarios, s.Faults = spec.LXDFirst, spec.Sid, []string{"lxd-*", "!lxd-vm"}, []string{"ping"}, spec.Faults()[:2]
	s.Runner, s.Intervene, s.Retries, s.TimeoutScale = spec.Emulated, false, 3, 4
	d := spec.NewDind()
	d.Phase, d.Internet, d.Version, d.Sources, d.Mirrors, d.Retries = spec.Runtime, spec.Simulated, "1.2", []string{"deb x y z"}, []string{"https://m"}, 2
	c := spec.NewCompare()
	c.Platform, c.InnerImage, c.FirstImage = "azure", "debian", "hello"
	h := spec.NewHostRun()
	h.Image, h.Config, h.Devices, h.Free, h.Environments = "x", map[string]string{"a": "b"}, []string{"root,size=10GiB"}, []string{"192.0.2.1/24"}, []string{"lxd-vm"}
	a := spec.NewAccuracy()
	a.Cases, a.Runner, a.Resume = []string{"*@lxd-vm"}, spec.Emulated, true
	return []spec.Request{spec.NewSimulation(), s, spec.NewDind(), d, spec.NewCompare(), c, spec.NewHostRun(), h, spec.NewAccuracy(), a, spec.NewDocker(), full()}
}

func decode(r spec.Request, text []byte) (spec.Request, error) {
	switch from := bytes.NewReader(text); r.(type) {
	case spec.Simulation:
		return spec.Decode[spec.Simulation](from)
	case spec.Dind:
		return spec.Decode[spec.Dind](from)
	case spec.Compare:
		return spec.Decode[spec.Compare](from)
	case spec.HostRun:
		return spec.Decode[spec.HostRun](from)
	case spec.Docker:
		return spec.Decode[spec.Docker](from)
	}
	return spec.Decode[spec.Accuracy](bytes.NewReader(text))
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, r := range requests(t) {
		text, err := spec.Encode(r)
		require.NoError(t, err)
		got, err := decode(r, text)
		require.NoError(t, err, string(text))
		require.Equal(t, r, got)
	}
}

// Every field is written and read: one that is not would be left undone on the other side.
func TestEveryFieldIsEncoded(t *testing.T) {
	t.Parallel()
	for _, r := range requests(t) {
		filled := reflect.New(reflect.TypeOf(r)).Elem()
		fill(t, filled)
		text, err := json.Marshal(filled.Interface())
		require.NoError(t, err)
		again := reflect.New(reflect.TypeOf(r))
		require.NoError(t, json.Unmarshal(text, again.Interface()))
		require.Equal(t, filled.Interface(), again.Elem().Interface())
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                                "read the request: EOF",
		"[]":                              "read the request",
		"{} ":                             `its schema is ""`,
		`{"schema":"nestlab.request/v2"}`: `its schema is "nestlab.request/v2", and this nestlab reads nestlab.request/v1`,
		`{"schema":"nestlab.request/v1","command":"simulate","request":{"order":"lxd-first"},"x":1}`: `unknown field "x"`,
		`{"schema":"nestlab.request/v1","command":"simulate","request":{"odrer":"lxd-first"}}`:       `unknown field "odrer"`,
		`{"schema":"nestlab.request/v1","command":"vm","request":{}}`:                                `it is of "vm", not of "simulate"`,
		`{"schema":"nestlab.request/v1","command":"simulate","request":{}}`:                          `unknown order ""`,
		`{"schema":"nestlab.request/v1","command":"simulate","request":{}} {}`:                       "more than one JSON value",
		`{"schema":"nestlab.request/v1","command":"simulate","request":{"retries":"3"}}`:             "retries",
		`{"schema":"` + strings.Repeat("x", 1<<20) + `"}`:                                            "larger than 1024 KiB",
	} {
		_, err := spec.Decode[spec.Simulation](strings.NewReader(text))
		require.ErrorContains(t, err, says, "%.100s", text)
	}
}

func FuzzDecode(f *testing.F) {
	s := spec.NewSimulation()
	s.Faults, s.Environments = []string{"nat-off"}, []string{"lxd-*"}
	text, err := spec.Encode(s)
	require.NoError(f, err)
	f.Add(string(text))
	f.Add(`{"schema":"nestlab.request/v1","command":"simulate","request":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := spec.Decode[spec.Simulation](strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := spec.Encode(s)
		require.NoError(t, err)
		got, err := spec.Decode[spec.Simulation](bytes.NewReader(again))
		require.NoError(t, err)
		p, err := s.Plan()
		require.NoError(t, err)
		q, err := got.Plan()
		require.NoError(t, err)
		require.Equal(t, p, q)
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	simulation := func(change func(*spec.Simulation)) spec.Request {
		s := spec.NewSimulation()
		change(&s)
		return s
	}
	dind := func(change func(*spec.Dind)) spec.Request {
		d := spec.NewDind()
		change(&d)
		return d
	}
	for _, c := range []struct {
		request spec.Request
		says    string
	}{
		{simulation(func(s *spec.Simulation) { s.Order = "random" }), `unknown order "random": use one of docker-first, lxd-first`},
		{simulation(func(s *spec.Simulation) { s.Runner = "paper" }), `unknown runner "paper": use one of namespaced, emulated`},
		{simulation(func(s *spec.Simulation) { s.DockerFrom = "potato" }), `unknown Docker suite "potato": use one of bookworm, trixie, sid`},
		{simulation(func(s *spec.Simulation) { s.Faults = []string{"gremlins"} }), `unknown fault "gremlins": the known ones are docker-forward-drop`},
		{simulation(func(s *spec.Simulation) { s.Retries = 11 }), "11 retries: give 0 to 10"},
		{simulation(func(s *spec.Simulation) { s.TimeoutScale = 11 }), "a timeout scale of 11: give 1 to 10"},
		{simulation(func(s *spec.Simulation) { s.Environments = []string{"lxd-vm"} }), "lxd-vm takes --runner emulated"},
		{simulation(func(s *spec.Simulation) { s.Scenarios = []string{"hope"} }), `unknown scenario "hope"`},
		{simulation(func(s *spec.Simulation) { s.Scenarios, s.Environments = []string{"snap"}, []string{"qemu-user"} }), "no scenario can be tried: snap: it needs lxd-container or lxd-vm"},
		{dind(func(d *spec.Dind) { d.Phase = "noon" }), `unknown install phase "noon": use one of build-time, runtime`},
		{dind(func(d *spec.Dind) { d.Internet = "dial-up" }), `unknown internet "dial-up": use one of live, simulated`},
		{dind(func(d *spec.Dind) { d.Method = "magic" }), `unknown install method "magic": use one of distro`},
		{dind(func(d *spec.Dind) { d.Platform = "moon" }), `unknown platform "moon": use one of auto, azure`},
		{dind(func(d *spec.Dind) { d.Timeout = 0 }), "must be more than 0"},
		{dind(func(d *spec.Dind) { d.Internet, d.InnerImage = spec.Simulated, "x" }), "--inner-image has no effect with --internet simulated"},
		{dind(func(d *spec.Dind) { d.Internet, d.FirstImage = spec.Simulated, "x" }), "--first-image has no effect with --internet simulated"},
		{dind(func(d *spec.Dind) { d.Internet, d.Platform = spec.Simulated, "azure" }), "--platform azure has no effect"},
		{spec.Accuracy{Runner: "paper", Parallel: 1}, `unknown runner "paper"`},
		{spec.Accuracy{Runner: spec.Namespaced, Parallel: 1, Cases: []string{"no-such"}}, "no case fits no-such"},
		{spec.Accuracy{Runner: spec.Namespaced}, "0 runners at a time"},
	} {
		require.ErrorContains(t, c.request.Validate(), c.says)
	}
}

// Each row of the table is known to the run's form, and each command has a row.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range append(spec.Command("").Values(), spec.CommandDoctor) {
		rows := spec.Environments(c)
		require.NotEmpty(t, rows, c)
		for _, e := range rows {
			seen[e.Name] = true
			require.NotEmpty(t, e.About)
			require.NotEmpty(t, e.Suites)
			found, ok := spec.FindEnvironment(e.Name)
			require.True(t, ok)
			require.Equal(t, e, found)
		}
	}
	require.Len(t, seen, len(model.Environments()))
	for _, name := range model.Environments() {
		require.True(t, seen[name], name)
	}
}

func TestAccuracyKnowsWhichDockerItNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cases []string
		want  []spec.DockerSuite
	}{
		{nil, []spec.DockerSuite{spec.Trixie, spec.Sid}}, {[]string{"*@sid*"}, []spec.DockerSuite{spec.Sid}}, {[]string{"healthy-lxd-first@qemu"}, nil},
	} {
		got, err := spec.Accuracy{Runner: spec.Namespaced, Cases: c.cases}.DockerSuites()
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
