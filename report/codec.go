package report

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// maxRun bounds the size of a run.json in bytes: a full run has about 1 MB.
const maxRun = 256 << 20

// Encode writes the run as run.json: indented JSON of the form model.Schema.
func Encode(w io.Writer, run model.Run) error {
	tidied, err := clone(run)
	if err != nil {
		return err
	}
	if tidied.Schema == "" {
		tidied.Schema = model.Schema
	}
	tidy(&tidied)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(tidied); err != nil {
		return fmt.Errorf("write the run as JSON: %w", err)
	}
	return nil
}

// Decode reads a run.json. A file of another schema is refused: what it means
// is not known here.
func Decode(r io.Reader) (model.Run, error) {
	var run model.Run
	text, err := io.ReadAll(io.LimitReader(r, maxRun+1))
	if err != nil {
		return run, fmt.Errorf("read the run: %w", err)
	}
	if len(text) > maxRun {
		return run, fmt.Errorf("read the run: it has more than %d MiB; that is no run.json", maxRun>>20)
	}
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return run, fmt.Errorf("read the run: this is not the whole of a JSON object (fold its journal instead, if there is one): %w", err)
	}
	if err := knownSchema(head.Schema); err != nil {
		return run, err
	}
	if err := json.Unmarshal(text, &run); err != nil {
		return run, fmt.Errorf("read the run: it says %s, but does not have that form: %w", model.Schema, err)
	}
	tidy(&run)
	return run, nil
}

func knownSchema(schema *string) error {
	family, _, _ := strings.Cut(model.Schema, "/")
	switch {
	case schema == nil:
		return fmt.Errorf("read the run: there is no \"schema\": this is not a run.json of nestlab")
	case *schema == model.Schema:
		return nil
	case strings.HasPrefix(*schema, family+"/"):
		return fmt.Errorf("read the run: it has schema %s, this nestlab reads %s: use the nestlab that wrote it", short(*schema), model.Schema)
	default:
		return fmt.Errorf("read the run: it has schema %s, not %s: this is not a run.json of nestlab", short(*schema), model.Schema)
	}
}

// clone copies a run through its JSON form, so that the caller's stays as it is.
func clone(run model.Run) (model.Run, error) {
	var out model.Run
	text, err := json.Marshal(run)
	if err != nil {
		return out, fmt.Errorf("encode the run: %w", err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("copy the run: %w", err)
	}
	return out, nil
}

// fillNil makes every nil slice in v that JSON would show as null an empty one.
func fillNil(v any) { fill(reflect.ValueOf(v).Elem()) }

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, tag := v.Field(i), v.Type().Field(i).Tag.Get("json")
			if field.CanSet() && field.Kind() == reflect.Slice && field.IsNil() && !strings.Contains(tag, ",omitempty") {
				field.Set(reflect.MakeSlice(field.Type(), 0, 0))
			}
			if field.CanSet() {
				fill(field)
			}
		}
	}
}
