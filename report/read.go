package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nestlab/nestlab/model"
)

// Read reads a run.json or a journal, whichever the content shows it to be. A
// journal in which not one entry can be read is an error.
func Read(r io.Reader) (model.Run, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRun+1))
	switch {
	case err != nil:
		return model.Run{}, fmt.Errorf("read the run: %w", err)
	case len(text) > maxRun:
		return model.Run{}, fmt.Errorf("read the run: it has more than %d MiB; that is neither a run.json nor a journal", maxRun>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return model.Run{}, errors.New("read the run: it is empty; the run ended before it saw anything")
	case isDocument(text):
		return Decode(bytes.NewReader(text))
	}
	run, err := Fold(bytes.NewReader(text))
	if err != nil {
		return run, err
	}
	if len(run.Entries()) <= 1+len(run.Notes) && run.Plan.Command == "" {
		return run, fmt.Errorf("read the run: this is neither a run.json nor a journal: %s", run.Notes[0])
	}
	return run, nil
}

// isDocument tells a run.json from a journal: it has its schema at the top level,
// or is spread over lines, of which none alone is a JSON value.
func isDocument(text []byte) bool {
	first, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte{'\n'})
	if bytes.Equal(bytes.TrimSpace(first), []byte{'{'}) {
		return true
	}
	var head struct {
		Schema json.RawMessage `json:"schema"`
	}
	return json.Unmarshal(first, &head) == nil && head.Schema != nil
}
