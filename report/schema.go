package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/nestlab/nestlab/model"
)

// JSONSchema is the JSON Schema (2020-12) of a run.json.
//
//go:embed run.schema.json
var JSONSchema []byte

// schemaID names the schema, for references into it.
const schemaID = "urn:nestlab:run:v1"

// compiler has the schema.
func compiler() (*jsonschema.Compiler, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema))
	if err != nil {
		return nil, fmt.Errorf("read the schema of %s: %w", model.Schema, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(schemaID, doc); err != nil {
		return nil, fmt.Errorf("load the schema of %s: %w", model.Schema, err)
	}
	return c, nil
}

// compiled is the schema, compiled on first use.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	c, err := compiler()
	if err != nil {
		return nil, err
	}
	return c.Compile(schemaID)
})

// guestParts are the parts of the schema that an environment has a say in, by kind.
var guestParts = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	c, err := compiler()
	if err != nil {
		return nil, err
	}
	parts := map[string]*jsonschema.Schema{}
	for _, kind := range guestKinds {
		if parts[kind], err = c.Compile(schemaID + "#/$defs/" + kind); err != nil {
			return nil, fmt.Errorf("compile the schema of %s: %w", kind, err)
		}
	}
	return parts, nil
})

// Validate checks the text of a run.json against its schema. The error names
// every place that does not fit.
func Validate(text []byte) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	if !json.Valid(text) {
		return fmt.Errorf("validate the run: it is not JSON")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("validate the run: %w", err)
	}
	if err := schema.Validate(doc); err != nil {
		return fmt.Errorf("validate the run against %s: %w", model.Schema, err)
	}
	return nil
}
