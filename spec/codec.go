package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Schema names the version of a request's JSON form.
const Schema = "nestlab.request/v1"

// maxSize bounds a request's text, in bytes.
const maxSize = 1 << 20

// envelope is a request as a file or a pipe has it.
type envelope struct {
	Schema  string          `json:"schema"`
	Command Command         `json:"command"`
	Request json.RawMessage `json:"request"`
}

// Encode gives a request as one line of JSON.
func Encode(r Request) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	text, err = json.Marshal(envelope{Schema: Schema, Command: r.Command(), Request: text})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	return append(text, '\n'), nil
}

// Decode reads a request of one kind that Encode wrote, and validates it. A field that is
// not known is an error: it would be left undone.
func Decode[T Request](r io.Reader) (T, error) {
	var request T
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return request, fmt.Errorf("read the request: %w", err)
	}
	if len(text) > maxSize {
		return request, fmt.Errorf("read the request: it is larger than %d KiB", maxSize>>10)
	}
	var e envelope
	if err := strictly(text, &e); err != nil {
		return request, fmt.Errorf("read the request: %w", err)
	}
	if e.Schema != Schema {
		return request, fmt.Errorf("read the request: its schema is %.40q, and this nestlab reads %s: use the nestlab that wrote it", e.Schema, Schema)
	}
	if err := strictly(e.Request, &request); err != nil {
		return request, fmt.Errorf("read the request of %q: %w", e.Command, err)
	}
	if e.Command != request.Command() {
		return request, fmt.Errorf("read the request: it is of %.40q, not of %q", e.Command, request.Command())
	}
	return request, request.Validate()
}

// strictly reads one JSON value without fields that are not known.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}
