package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/nestlab/nestlab/model"
)

// guestKinds are what a probing process may print, with their names in the schema. Facts
// and the like of a line go where its kind says, and nowhere else.
var guestKinds = map[string]string{
	"facts": "facts", "result": "result", "inspection": "inspection", "timing": "timing", "note": "guest_note",
}

// maxGuestParts bounds each list of what an environment tells, such as its interfaces.
const maxGuestParts = 1000

// DecodeGuest reads one line of what a probing process prints in the environment of a
// place, in a round. The entry is that place's and round's and fits the schema, whatever
// the line says; a line of any other kind, or of several, is an error.
func DecodeGuest(line []byte, place model.Place, round string) (model.Entry, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(line, &parts); err != nil {
		return model.Entry{}, err
	}
	if len(parts) != 1 {
		return model.Entry{}, fmt.Errorf("it holds %d things, not one", len(parts))
	}
	var g model.GuestEntry
	for kind, text := range parts {
		to, known := map[string]any{
			"facts": &g.Facts, "result": &g.Result, "inspection": &g.Inspection, "timing": &g.Timing, "note": &g.Note,
		}[kind]
		if !known {
			return model.Entry{}, fmt.Errorf("an environment has no say in %s", short(kind))
		}
		if err := json.Unmarshal(text, to); err != nil {
			return model.Entry{}, err
		}
		if g == (model.GuestEntry{}) {
			return model.Entry{}, fmt.Errorf("its %s is empty", kind)
		}
		if left := cut(reflect.ValueOf(&g).Elem(), model.MaxMessage, maxGuestParts); left > 0 {
			note := fmt.Sprintf("%d entries were left out: a list may have %d", left, maxGuestParts)
			switch {
			case g.Facts != nil:
				g.Facts.Errors = append(g.Facts.Errors, note)
			case g.Inspection != nil:
				g.Inspection.Errors = append(g.Inspection.Errors, note)
			}
		}
		e := g.Of(place, round)
		return e, fits(e, guestKinds[kind])
	}
	return model.Entry{}, nil // not reached: there is one
}

// fits holds an entry against the schema. Whether an environment started is the host's
// to say, and a probe that nobody has is none.
func fits(e model.Entry, kind string) error {
	if r := e.Result; r != nil && (r.Probe == model.ProbeStart || !slices.Contains(model.Probes(), r.Probe)) {
		return fmt.Errorf("an environment has no probe %s", short(r.Probe))
	}
	fillNil(&e)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	parts, err := guestParts()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return parts[kind].Validate(v.(map[string]any)[kind])
}
