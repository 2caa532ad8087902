package targets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The limits of a target set: what is larger is a mistake or an attack.
const (
	maxTargetsBytes = 256 << 10
	maxList         = 32
	maxString       = 4 << 10
	maxDepth        = 8
)

// Parse reads a target set from YAML. It is strict: a field that it does
// not know, a value that cannot be probed or one that could be mistaken for an
// option is refused, with the line, the field and what to write instead.
func Parse(r io.Reader) (*Set, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxTargetsBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read target set: %w", err)
	}
	if len(raw) > maxTargetsBytes {
		return nil, fmt.Errorf("read target set: larger than %d KiB; list fewer targets", maxTargetsBytes>>10)
	}
	t, err := decodeTargets(raw)
	if err != nil {
		return nil, fmt.Errorf("read target set: %w", err)
	}
	return t, nil
}

func decodeTargets(raw []byte) (*Set, error) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty; begin with \"version: 1\"")
	} else if err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document; keep the first and remove \"---\"")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no mapping; begin with \"version: 1\"")
	}
	t := &Set{}
	if err := checkNode(doc.Content[0], reflect.TypeOf(t), "", 0); err != nil {
		return nil, err
	}
	if err := doc.Decode(t); err != nil {
		return nil, err
	}
	return t, t.validate()
}

// checkNode compares the YAML tree with the Go type before it is decoded, so
// that errors can name the line and the field. KnownFields of the library names
// neither the field's place nor the fields that there are.
func checkNode(n *yaml.Node, want reflect.Type, field string, depth int) error {
	for want.Kind() == reflect.Pointer {
		want = want.Elem()
	}
	name := field
	if name == "" {
		name = "the set"
	}
	if depth > maxDepth {
		return fmt.Errorf("line %d: %s is nested too deeply", n.Line, name)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("line %d: %s uses an anchor or alias; write the value out", n.Line, name)
	}
	switch want.Kind() {
	case reflect.Struct:
		return checkStruct(n, want, field, depth)
	case reflect.Map:
		return checkMap(n, want, field, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return fmt.Errorf("line %d: %s must be a list; write \"- VALUE\" lines", n.Line, name)
		}
		if len(n.Content) > maxList {
			return fmt.Errorf("line %d: %s has %d entries; list at most %d", n.Line, name, len(n.Content), maxList)
		}
		for i, c := range n.Content {
			if err := checkNode(c, want.Elem(), fmt.Sprintf("%s[%d]", field, i), depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		return checkScalar(n, want, field)
	}
}

func checkStruct(n *yaml.Node, want reflect.Type, field string, depth int) error {
	known := map[string]reflect.Type{}
	for i := range want.NumField() {
		tag, _, _ := strings.Cut(want.Field(i).Tag.Get("yaml"), ",")
		known[tag] = want.Field(i).Type
	}
	return eachPair(n, field, func(key, value *yaml.Node) error {
		typ, ok := known[key.Value]
		if !ok {
			return fmt.Errorf("line %d: unknown field %q; known here: %s", key.Line, Clip(join(field, key.Value)), strings.Join(sortedKeys(known), ", "))
		}
		return checkNode(value, typ, join(field, key.Value), depth+1)
	})
}

func checkMap(n *yaml.Node, want reflect.Type, field string, depth int) error {
	return eachPair(n, field, func(key, value *yaml.Node) error {
		return checkNode(value, want.Elem(), join(field, key.Value), depth+1)
	})
}

func eachPair(n *yaml.Node, field string, f func(key, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s must be a mapping; write \"FIELD: VALUE\" lines", n.Line, field)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || seen[key.Value] {
			return fmt.Errorf("line %d: field %q is there twice or is no plain word; keep one", key.Line, Clip(join(field, key.Value)))
		}
		seen[key.Value] = true
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func checkScalar(n *yaml.Node, want reflect.Type, field string) error {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return fmt.Errorf("line %d: %s must be one value, not %s", n.Line, field, kindName(n))
	}
	limit := maxString
	if field == "ca" {
		limit = maxTargetsBytes
	}
	if len(n.Value) > limit {
		return fmt.Errorf("line %d: %s is longer than %d bytes; shorten it", n.Line, field, limit)
	}
	tags := map[reflect.Kind][]string{
		reflect.Int:    {"!!int"},
		reflect.Bool:   {"!!bool"},
		reflect.String: {"!!str"},
	}
	if ok := tags[want.Kind()]; ok != nil && !slices.Contains(ok, n.Tag) {
		return fmt.Errorf("line %d: %s must be a %s, not %q; quote it if it is text", n.Line, field, want.Kind(), Clip(n.Value))
	}
	return nil
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "nothing"
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
