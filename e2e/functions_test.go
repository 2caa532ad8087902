//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// observation is a call whose run is printed, and what has to hold of that; nil for nothing
// but that it is another run than the last.
type observation struct {
	args  []string
	holds func(t *testing.T, text string)
}

// observing are the functions that carry a run out, by a cheap call. None may be answered
// from the engine's cache.
func observing(t *testing.T) map[string]observation {
	cert := noCertificate(t)
	return map[string]observation{
		"Nestlab.accuracy":  {args: []string{"accuracy", "--cases", "lxd-first+dockerd-storage-driver", "file", "--path", "accuracy.json", "contents"}},
		"Nestlab.buildTime": {args: []string{"build-time", "--internet", "simulated", "check"}},
		"Nestlab.runtime":   {args: []string{"runtime", "--internet", "simulated", "check"}},
		// In json it names those that it was merged of, too.
		"Nestlab.compare":   {[]string{"compare", "--internet", "simulated", "--results", control(t), "table"}, requireJoined},
		"Nestlab.doctor":    {[]string{"doctor", "--docker", lendDocker(t), "json"}, requireExamined},
		"NestlabDind.check": {args: []string{"dind", "check", "--internet", "simulated"}},
		"NestlabDind.run":   {args: []string{"dind", "--phase", "runtime", "run", "--internet", "simulated", "check"}},
		"Nestlab.simulate":  {args: []string{"simulate", "--order", "lxd-first", "--environments", "runner", "json"}},
		"Nestlab.vm": {[]string{
			"vm", "--address", nobody, "--client-cert", cert, "--client-key", "file:" + cert, "--environments", model.EnvLXDVM, "json",
		}, requireNobody},
	}
}

// requireExamined checks that the machine of a Docker was, and not the container there.
func requireExamined(t *testing.T, text string) {
	t.Helper()
	run, err := report.Decode(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, "doctor", run.Plan.Command)
	require.NotEmpty(t, results(run, model.EnvRunner, "", model.RoundBaseline))
	for _, bridge := range []string{"br9", "docker0"} {
		require.True(t, slices.ContainsFunc(run.Results, func(r model.Result) bool {
			return r.Place == (model.Place{Environment: model.EnvBridge, Name: bridge}) && r.Probe == model.ProbeTCP
		}), "no stand-in on %s probed: %v", bridge, run.Notes)
	}
}

// nobody is the address of an LXD that is not there.
const nobody = "https://127.0.0.1:1"

// requireNobody checks that an LXD that cannot be reached is one clear result.
func requireNobody(t *testing.T, text string) {
	t.Helper()
	run, err := report.Decode(strings.NewReader(text))
	require.NoError(t, err)
	found := results(run, model.EnvLXDVM, "", model.RoundBaseline)
	require.Len(t, found, 1)
	require.Equal(t, model.NotStarted, found[0].Reason)
	require.Contains(t, found[0].Detail.Message, nobody)
}

// noCertificate is a file with none.
func noCertificate(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client")
	require.NoError(t, os.WriteFile(file, []byte("no certificate\n"), 0o600))
	return file
}

// control is a journal of the runner as the exported binary writes it, cut short at both
// ends.
func control(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "runner"), 0o755))
	line := `{"result":{"environment":"runner","round":"baseline","probe":"tcp-connect","target":"archive.lab.test:80","attempt":1,"outcome":"pass","start":"2026-01-02T03:04:05Z","duration_ms":1,"detail":{}}}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "runner", "journal.jsonl"), []byte(line), 0o644))
	return dir
}

// requireJoined checks that the control is joined with what is observed here.
func requireJoined(t *testing.T, table string) {
	t.Helper()
	for _, e := range []string{model.EnvRunner, model.EnvContainer, model.EnvDind, model.EnvDindInner} {
		require.Contains(t, table, e)
	}
}

// pure are the functions whose results the engine may keep, by what a query asks of them.
var pure = map[string]string{
	"Nestlab.dind":     "dind{" + strings.Join(sortedValues(ofDind), " ") + "}",
	"Nestlab.guest":    "guest{digest}",
	"Nestlab.hostStep": "hostStep{digest}",
	"Nestlab.plan":     "plan",
	"Nestlab.runner":   "runner{rootfs{digest}}",
}

// aRun makes the object whose functions all hand out one run.
const aRun = `simulate(order:"lxd-first",environments:["runner"])`

// ofRun are the functions of a run, by what a query asks of them.
var ofRun = map[string]string{
	"NestlabRun.check":     "check",
	"NestlabRun.diagnosis": "diagnosis",
	"NestlabRun.export":    `export{file(path:"run.json"){contents}}`,
	"NestlabRun.json":      "json",
	"NestlabRun.report":    `report(format:"junit")`,
	"NestlabRun.table":     "table",
}

// fieldsOfRun are the values that a run has with no call of their own.
var fieldsOfRun = []string{"affected", "cause", "confidence", "fix", "summary", "title", "verdict"}

// ofDind are the functions of a Docker-in-Docker, by what a query asks of them; those that
// hand a daemon out are tried by TestDind.
var ofDind = map[string]string{
	"NestlabDind.build":            "",
	"NestlabDind.certificates":     "certificates{entries}",
	"NestlabDind.client":           "",
	"NestlabDind.container":        "",
	"NestlabDind.image":            "image{entrypoint}",
	"NestlabDind.service":          "service{ports{port}}",
	"NestlabDind.testcontainers":   "",
	"NestlabDind.withImage":        "",
	"NestlabDind.withImageArchive": "",
}

// TestFunctions calls every function of the schema twice: what was observed is of the
// very call, and what is not may be of an earlier one. A function that is in none of the
// tables above fails it: put it into one, and give it cache="never" if it observes.
func TestFunctions(t *testing.T) {
	t.Parallel()
	observing := observing(t)
	known := slices.Collect(maps.Keys(observing))
	known = append(known, slices.Collect(maps.Keys(pure))...)
	known = append(known, slices.Collect(maps.Keys(ofRun))...)
	known = append(known, slices.Collect(maps.Keys(ofDind))...)
	for _, field := range fieldsOfRun {
		known = append(known, "NestlabRun."+field)
	}
	require.ElementsMatch(t, schema(t), known, "the schema has functions that are not classified here, or lacks some that are")

	t.Run("pure", func(t *testing.T) {
		t.Parallel()
		first := query(t, "{nestlab{"+strings.Join(sortedValues(pure), " ")+"}}")
		require.Equal(t, first, query(t, "{nestlab{"+strings.Join(sortedValues(pure), " ")+"}}"))
	})
	t.Run("of a run", func(t *testing.T) {
		t.Parallel()
		doc := "{nestlab{" + aRun + "{" + strings.Join(append(sortedValues(ofRun), fieldsOfRun...), " ") + "}}}"
		requireTwoRuns(t, func() told { return oneRun(t, query(t, doc), len(ofRun)) })
	})
	for name, o := range observing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireTwoRuns(t, func() told {
				text := call(t, o.args...)
				if o.holds != nil {
					o.holds(t, text)
				}
				return oneRun(t, text, 1)
			})
		})
	}
}

// From another module the caller's own function has to be uncached too: with that,
// two calls are two runs.
func TestAnotherModule(t *testing.T) {
	t.Parallel()
	requireTwoRuns(t, func() told {
		out, stderr, err := daggerCLI(t, "--progress", "plain", "call", "-m", "tests", "check")
		require.NoError(t, err, tail(stderr))
		return oneRun(t, out, 1)
	})
}

// requireTwoRuns observes twice and wants two runs.
func requireTwoRuns(t *testing.T, observe func() told) {
	t.Helper()
	first, second := observe(), observe()
	require.NotEqual(t, first.run, second.run, "the second call handed out the run of the first")
	require.NotEqual(t, first.start, second.start, "two runs began at the same time")
}

// identity is how a run is named in every format: its own id, or a case's. began is when.
var (
	identity = regexp.MustCompile(`(?:\brun |"(?:id|run)": "|nestlab\.run" value=")([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)
	began    = regexp.MustCompile(`(?:Observed |"start": ")(\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d)`)
)

// told is the run that a text tells of.
type told struct{ run, start string }

// oneRun finds the identity and the start of the one run that a text tells of, in so
// many reports at least.
func oneRun(t *testing.T, text string, reports int) told {
	t.Helper()
	found := identity.FindAllStringSubmatch(strings.ReplaceAll(text, `\"`, `"`), -1)
	require.GreaterOrEqual(t, len(found), reports, "not every report names its run:\n%s", tail(text))
	for _, f := range found {
		require.Equal(t, found[0][1], f[1], "the reports of one run name several")
	}
	start := began.FindStringSubmatch(strings.ReplaceAll(text, `\"`, `"`))
	require.NotNil(t, start, "nothing says when that was observed:\n%s", tail(text))
	return told{run: found[0][1], start: start[1]}
}

// query asks the module by GraphQL, in a session of its own.
func query(t *testing.T, document string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "query.graphql")
	require.NoError(t, os.WriteFile(file, []byte(document), 0o644))
	out, stderr, err := daggerCLI(t, "--progress", "plain", "query", "-m", ".", "--doc", file)
	require.NoError(t, err, "%s\n%s", document, tail(stderr))
	return out
}

// schema lists the functions of the module's objects, as TYPE.FUNCTION.
func schema(t *testing.T) []string {
	t.Helper()
	var doc struct {
		Schema struct {
			Types []struct {
				Name   string
				Fields []struct{ Name string }
			}
		} `json:"__schema"`
	}
	require.NoError(t, json.Unmarshal([]byte(query(t, "{__schema{types{name fields{name}}}}")), &doc))
	var names []string
	for _, object := range doc.Schema.Types {
		for _, f := range object.Fields {
			if strings.HasPrefix(object.Name, "Nestlab") && f.Name != "id" {
				names = append(names, object.Name+"."+f.Name)
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

func sortedValues(of map[string]string) []string {
	return slices.Sorted(maps.Values(of))
}
