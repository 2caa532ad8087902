package report_test

import (
	"encoding"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

func TestRunsFitTheSchema(t *testing.T) {
	t.Parallel()
	runs := []model.Run{{Schema: model.Schema}, modeltest.Healthy(), modeltest.DockerForwardDrop(), modeltest.Proven()}
	for seed := range uint64(100) {
		runs = append(runs, modeltest.Random(seed))
	}
	for i, run := range runs {
		require.NoError(t, report.Validate([]byte(encoded(t, run))), "run %d", i)
		run.Diagnosis = diagnose.Diagnose(run)
		require.NoError(t, report.Validate([]byte(encoded(t, run))), "run %d", i)
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	good := encoded(t, modeltest.Proven())
	for _, change := range [][2]string{
		{`"schema": "nestlab.run/v1"`, `"schema": "nestlab.run/v2"`},
		{`"outcome": "pass"`, `"outcome": "passed"`},
		{`"reason": "connect-timeout"`, `"reason": "slow"`},
		{`"environment": "lxd-container"`, `"environment": "moon"`},
		{`"round": "intervened"`, `"round": "later"`},
		{`"attempt": 1`, `"attempt": "1"`},
		{`"attempt": 1`, `"attemt": 1`},
		{`"start": "2026-03-01T12:00:01Z"`, `"start": "yesterday"`},
		{`"results": [`, `"results": [null, `},
		{`"confidence": ""`, `"confidence": "certain"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		require.NotEqual(t, good, bad, change[0])
		require.ErrorContains(t, report.Validate([]byte(bad)), "validate the run", change[1])
	}
	require.ErrorContains(t, report.Validate([]byte(`{"schema":`)), "not JSON")
}

// node is what the tests read of the schema.
type node struct {
	Ref         string          `json:"$ref"`
	Description string          `json:"description"`
	Properties  map[string]node `json:"properties"`
	Required    []string        `json:"required"`
	Items       *node           `json:"items"`
	Enum        []string        `json:"enum"`
	Defs        map[string]node `json:"$defs"`
	Closed      *bool           `json:"additionalProperties"`
}

func schemaRoot(t *testing.T) node {
	t.Helper()
	// Two of the schema's additionalProperties are schemas themselves.
	text := strings.ReplaceAll(string(report.JSONSchema), `"additionalProperties": {"type": "string"}`, `"additionalProperties": true`)
	var root node
	require.NoError(t, json.Unmarshal([]byte(text), &root))
	return root
}

func TestSchemaHasTheModelsWords(t *testing.T) {
	t.Parallel()
	root := schemaRoot(t)
	require.Equal(t, texts(model.Outcomes()), root.Defs["outcome"].Enum)
	require.Equal(t, texts(model.Reasons()), root.Defs["reason"].Enum)
	require.Equal(t, model.Environments(), root.Defs["environment"].Enum)
	require.Equal(t, texts([]model.Confidence{"", model.Proven, model.Supported, model.RuledOut, model.Unsure}), root.Defs["confidence"].Enum)
	require.Equal(t, texts([]model.Verdict{"", model.Healthy, model.CauseFound, model.Undetermined}),
		root.Defs["diagnosis"].Properties["verdict"].Enum)
	for _, step := range model.Steps() {
		require.Contains(t, root.Defs["timing"].Properties["step"].Description, step)
	}
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}

// TestSchemaHasTheModelsFields walks the model and the schema side by side:
// neither may have a property that the other lacks, and each is described.
func TestSchemaHasTheModelsFields(t *testing.T) {
	t.Parallel()
	root := schemaRoot(t)
	walk(t, root, root, reflect.TypeFor[model.Run](), "run", map[reflect.Type]bool{})
}

func walk(t *testing.T, root, n node, typ reflect.Type, path string, seen map[reflect.Type]bool) {
	t.Helper()
	if n.Ref != "" {
		own := n.Description
		n = root.Defs[strings.TrimPrefix(n.Ref, "#/$defs/")]
		if own != "" {
			n.Description = own
		}
	}
	require.NotEmpty(t, n.Description+strings.Join(n.Enum, ""), "%s is not described", path)
	switch typ.Kind() {
	case reflect.Pointer:
		walk(t, root, n, typ.Elem(), path, seen)
	case reflect.Slice:
		require.NotNil(t, n.Items, path)
		if typ.Elem().Kind() == reflect.Struct {
			walk(t, root, *n.Items, typ.Elem(), path+"[]", seen)
		}
	case reflect.Struct:
		if seen[typ] || typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) { // JSON has the text
			return
		}
		fields := map[string]reflect.StructField{}
		jsonFields(typ, fields)
		var names, required []string
		for name, f := range fields {
			names = append(names, name)
			if !strings.Contains(f.Tag.Get("json"), ",omit") {
				required = append(required, name)
			}
			require.Contains(t, n.Properties, name, "%s.%s is not in the schema", path, name)
			walk(t, root, n.Properties[name], f.Type, path+"."+name, seen)
		}
		require.Len(t, n.Properties, len(names), "%s: the schema has more than the model", path)
		require.ElementsMatch(t, required, n.Required, "%s: required", path)
		require.NotNil(t, n.Closed, "%s is open", path)
	}
}

// jsonFields are the fields of a struct as JSON has them, embedded ones included.
func jsonFields(typ reflect.Type, into map[string]reflect.StructField) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			jsonFields(f.Type, into)
			continue
		}
		into[name] = f
	}
}

func TestTheDocumentationNamesAllWords(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/run.md")
	require.NoError(t, err)
	root := schemaRoot(t)
	words := slices.Concat(texts(model.Outcomes()), texts(model.Reasons()), root.Defs["confidence"].Enum[1:],
		root.Defs["diagnosis"].Properties["verdict"].Enum[1:], slices.Collect(maps.Keys(root.Properties)), model.Rounds())
	for i := range reflect.TypeFor[model.Entry]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[model.Entry]().Field(i).Tag.Get("json"), ",")
		words = append(words, name)
	}
	for _, word := range words {
		require.Contains(t, string(text), "`"+word+"`")
	}
}
