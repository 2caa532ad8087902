package accuracy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/accuracy"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

func expecting(causes ...string) accuracy.Measured {
	return accuracy.Measured{Case: accuracy.Case{Name: "case", Expect: append([]string{}, causes...)}, Seconds: 10}
}

// says is a diagnosis with these causes, of which the first is proven.
func says(causes ...string) model.Diagnosis {
	d := model.Diagnosis{Verdict: model.CauseFound}
	for i, c := range causes {
		f := model.Finding{Cause: c, Confidence: model.Supported}
		if i == 0 {
			f.Confidence = model.Proven
			d.Finding = f
			continue
		}
		d.Further = append(d.Further, f)
	}
	return d
}

func TestScore(t *testing.T) {
	t.Parallel()
	healthy := model.Diagnosis{Verdict: model.Healthy}
	unknown := model.Diagnosis{Verdict: model.Undetermined, Finding: model.Finding{Confidence: model.Unsure}}
	for name, test := range map[string]struct {
		expect     []string
		diagnosis  model.Diagnosis
		right, all bool
		wrong      []string
	}{
		"healthy":                  {nil, healthy, true, true, []string{}},
		"healthy, undetermined":    {nil, unknown, false, false, []string{}},
		"healthy, cause":           {nil, says("a"), false, false, []string{"a"}},
		"healthy, no diagnosis":    {nil, model.Diagnosis{}, false, false, []string{}},
		"single":                   {[]string{"a"}, says("a"), true, true, []string{}},
		"single, and one more":     {[]string{"a"}, says("a", "b"), true, false, []string{"b"}},
		"single, second":           {[]string{"a"}, says("b", "a"), false, false, []string{"b"}},
		"single, wrong":            {[]string{"a"}, says("b"), false, false, []string{"b"}},
		"single, undetermined":     {[]string{"a"}, unknown, false, false, []string{}},
		"single, called healthy":   {[]string{"a"}, healthy, false, false, []string{}},
		"single, named twice":      {[]string{"a"}, says("a", "a"), true, true, []string{}},
		"pair":                     {[]string{"a", "b"}, says("b", "a"), true, true, []string{}},
		"pair, one":                {[]string{"a", "b"}, says("b"), true, false, []string{}},
		"pair, one and one wrong":  {[]string{"a", "b"}, says("c", "b"), false, false, []string{"c"}},
		"pair, both and one wrong": {[]string{"a", "b"}, says("a", "c", "b"), true, false, []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := accuracy.Score(expecting(test.expect...), test.diagnosis)
			require.Equal(t, test.right, s.Right, "right")
			require.Equal(t, test.all, s.All, "all")
			require.Equal(t, test.wrong, s.False)
		})
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	supported := says("a")
	supported.Confidence = model.Supported
	got := accuracy.Summarize([]accuracy.Scored{
		accuracy.Score(expecting(), model.Diagnosis{Verdict: model.Healthy}),
		accuracy.Score(expecting(), says("x")),
		accuracy.Score(expecting("a"), says("a")),
		accuracy.Score(expecting("a"), supported),
		accuracy.Score(expecting("a"), says("b")),
		accuracy.Score(expecting("a"), model.Diagnosis{Verdict: model.Undetermined}),
		accuracy.Score(expecting("a", "b"), says("b", "a")),
		accuracy.Score(expecting("a", "b"), says("b", "c")),
	})
	require.Equal(t, accuracy.Summary{
		Singles: 4, SinglesRight: 2, SinglesProven: 1, SinglesProvable: 2, RightShare: 0.5, Undetermined: 1, Wrong: 1,
		Healthy: 2, HealthyFalse: 1, Pairs: 2, PairsFirst: 2, PairsBoth: 1, PairsBothShare: 0.5,
		FalseCauses: 3, MeanSeconds: 10,
		Confusion: map[string]map[string]int{
			"healthy": {"healthy": 1, "x": 1}, "a": {"a": 2, "b": 1, "undetermined": 1},
		},
	}, got)
	require.Equal(t, accuracy.Summary{Confusion: map[string]map[string]int{}}, accuracy.Summarize(nil))
}

// Every fault is measured alone, in every environment that it touches and that runs
// here, and what is expected is what was broken.
func TestCases(t *testing.T) {
	t.Parallel()
	seen, alone, kinds := map[string]bool{}, map[string][]string{}, map[string]int{}
	for _, c := range accuracy.Cases() {
		require.False(t, seen[c.Name], c.Name)
		seen[c.Name] = true
		kinds[c.Kind()]++
		found, err := faults.Find(c.Faults)
		require.NoError(t, err, c.Name)
		for _, f := range found {
			require.Contains(t, c.Expect, f.Named(), c.Name)
		}
		require.LessOrEqual(t, len(c.Expect), 2, c.Name)
		if c.Kind() == accuracy.Single && c.Order == "lxd-first" {
			alone[c.Faults[0]] = append(alone[c.Faults[0]], c.Environments...)
		}
		if c.Order == "docker-first" && slices.Contains(c.Environments, model.EnvLXDContainer) {
			require.Contains(t, c.Expect, accuracy.DockerForwardDrop, c.Name)
		}
	}
	for _, f := range faults.All() {
		here := slices.DeleteFunc(slices.Clone(f.Affects), func(e string) bool { return e == model.EnvLXDVM })
		require.Subset(t, alone[f.Name], here, f.Name)
	}
	require.GreaterOrEqual(t, kinds[accuracy.Healthy], 3)
	require.GreaterOrEqual(t, kinds[accuracy.Pair], 10)
}

// Of a public case the cause has to be right, and what packets end by.
func TestScoreOfPublicCases(t *testing.T) {
	t.Parallel()
	m := accuracy.Measured{Case: accuracy.Case{
		Source: "https://example.org/1", Expect: []string{"a", "b"}, Killer: &testbed.Killer{Table: "inet filter", Chain: "forward", Rule: "lxdbr0"},
	}}
	named := says("a")
	require.False(t, accuracy.Score(m, named).Right, "nothing says by what")
	named.Confidence = model.Proven
	for _, drop := range []model.Drop{
		{Family: "inet", Table: "filter", Chain: "forward", Rule: `iifname "lxdbr0" drop`},
		{Family: "inet", Table: "filter", Chain: "other", Rule: `iifname "lxdbr0" drop`},
		{Family: "ip", Table: "filter", Chain: "forward", Rule: `iifname "lxdbr0" drop`},
		{Family: "inet", Table: "filter", Chain: "forward"},
	} {
		named.Evidence = []model.Evidence{{Loss: &model.Loss{Drops: []model.Drop{drop}}}}
		right := drop.Chain == "forward" && drop.Family == "inet" && drop.Rule != ""
		s := accuracy.Score(m, named)
		require.Equal(t, right, s.Right, drop)
		sum := accuracy.Summarize([]accuracy.Scored{s})
		require.Equal(t, 1, sum.Public.Cases)
		require.Equal(t, right, sum.Public.Right == 1 && sum.Public.Proven == 1)
		require.Equal(t, !right, sum.Public.WrongProven == 1)
	}
	require.False(t, accuracy.Score(m, model.Diagnosis{Verdict: model.Undetermined}).Right)
	m.Expect, m.Killer = nil, nil
	require.True(t, accuracy.Score(m, model.Diagnosis{Verdict: model.Healthy}).Right)
}

// Why a cause cannot be proven is in the documentation, for each.
func TestTheDocumentationSaysWhatCannotBeProven(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/accuracy.md")
	require.NoError(t, err)
	for cause, why := range accuracy.NoIntervention() {
		_, err := faults.Find([]string{cause})
		require.NoError(t, err)
		require.Contains(t, string(text), "| `"+cause+"` | "+why+" |")
	}
}

// What several runners say at a time comes in whole lines, with their names.
func TestLinesAreKeptApart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a, b := accuracy.Lines(&out, "a"), accuracy.Lines(&out, "b")
	for _, w := range []struct {
		to   io.Writer
		says string
	}{{a, "one "}, {b, "two\nth"}, {a, "half\n"}, {b, "ree\n"}} {
		_, err := io.WriteString(w.to, w.says)
		require.NoError(t, err)
	}
	require.Equal(t, "b two\na one half\nb three\n", out.String())
}

func TestSelect(t *testing.T) {
	t.Parallel()
	kept, err := accuracy.Select(asked())
	require.NoError(t, err)
	public, err := accuracy.CasesOf(spec.Namespaced)
	require.NoError(t, err)
	require.Equal(t, public, kept)
	kept, err = accuracy.Select(asked("lxd-first+nat-off", "docker-first"))
	require.NoError(t, err)
	require.Len(t, kept, 2)
	kept, err = accuracy.Select(asked("docker-first*", "!*@*"))
	require.NoError(t, err)
	require.Subset(t, names(public), names(kept))
	require.NotContains(t, names(kept), "docker-first@sid")
	_, err = accuracy.Select(asked("no-such"))
	require.ErrorContains(t, err, "no-such")
	_, err = accuracy.Select(asked("["))
	require.ErrorContains(t, err, "pattern")
}

func asked(cases ...string) spec.Accuracy {
	return spec.Accuracy{Runner: spec.Namespaced, Cases: cases, Parallel: 1}
}

func names(cases []accuracy.Case) []string {
	var all []string
	for _, c := range cases {
		all = append(all, c.Name)
	}
	return all
}

// keep writes a case as Run leaves it; no diagnosis stands for no run.
func keep(t *testing.T, dir string, c accuracy.Case, d *model.Diagnosis) {
	t.Helper()
	at := filepath.Join(dir, accuracy.CasesDir, c.Name)
	require.NoError(t, os.MkdirAll(at, 0o755))
	text, err := json.Marshal(accuracy.Measured{Case: c, Seconds: 1})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(at, accuracy.CaseFile), text, 0o644))
	if d == nil {
		return
	}
	d.RuledOut = []model.Refuted{}
	run := model.Run{Schema: model.Schema, Version: "dev", Start: time.Unix(0, 0).UTC(), Diagnosis: *d}
	require.NoError(t, session.WriteRun(filepath.Join(at, model.RunFile), run))
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := accuracy.Load(dir, accuracy.AsRecorded)
	require.ErrorContains(t, err, dir)
	picked, err := accuracy.Select(asked("healthy-lxd-first-1", "lxd-first+nat-off", "lxd-first+clock-skew"))
	require.NoError(t, err)
	named := says("nat-off")
	keep(t, dir, picked[2], nil)
	keep(t, dir, picked[1], &named)
	keep(t, dir, picked[0], &model.Diagnosis{Verdict: model.Healthy})
	all, err := accuracy.Load(dir, accuracy.AsRecorded)
	require.NoError(t, err)
	var got []string
	for _, s := range all {
		got = append(got, s.Name)
	}
	require.Equal(t, []string{picked[0].Name, picked[1].Name, picked[2].Name}, got, "in the order of Cases")
	require.Equal(t, []bool{true, true, false}, []bool{all[0].All, all[1].All, all[2].All})

	var figures, text bytes.Buffer
	require.NoError(t, accuracy.Write(&figures, all))
	require.NoError(t, accuracy.Table(&text, all))
	var decoded struct {
		Summary accuracy.Summary  `json:"summary"`
		Cases   []accuracy.Scored `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(figures.Bytes(), &decoded))
	require.Equal(t, accuracy.Summarize(all), decoded.Summary)
	require.Equal(t, all, decoded.Cases)
	for _, want := range []string{"nat-off (proven)", "no diagnosis", "1 of 2 (50 %)", "Healthy: a cause named in 0 of 1"} {
		require.Contains(t, text.String(), want)
	}

	again, err := accuracy.Load(dir, func(model.Run) model.Diagnosis { return says("clock-skew") })
	require.NoError(t, err)
	require.Equal(t, []string{"clock-skew"}, again[0].False)

	require.NoError(t, os.WriteFile(filepath.Join(dir, accuracy.CasesDir, picked[0].Name, model.RunFile), []byte("{"), 0o644))
	_, err = accuracy.Load(dir, accuracy.AsRecorded)
	require.ErrorContains(t, err, picked[0].Name)
}
