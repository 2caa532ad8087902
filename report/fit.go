package report

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nestlab/nestlab/model"
)

// shrink are the limits that an entry too long for a line is cut to, the mildest that
// does first: bytes of a text, and parts of a list or a map.
var shrink = []struct{ text, parts int }{{4 << 10, 1000}, {1 << 10, 500}, {256, 100}, {64, 20}, {64, 5}}

// Fit makes an entry one that a line of the journal holds. What is too long is cut, which
// note says; an entry that has no JSON form is an error.
func Fit(e model.Entry) (fitted model.Entry, note string, err error) {
	line, err := json.Marshal(e)
	if err != nil {
		return e, "", fmt.Errorf("encode a journal entry: %w", err)
	}
	if len(line) <= MaxLine {
		return e, "", nil
	}
	for _, most := range shrink {
		fitted = model.Entry{}
		if err := json.Unmarshal(line, &fitted); err != nil {
			return e, "", fmt.Errorf("copy a journal entry: %w", err)
		}
		cut(reflect.ValueOf(&fitted).Elem(), most.text, most.parts)
		shorter, err := json.Marshal(fitted)
		if err != nil {
			return e, "", fmt.Errorf("encode a journal entry: %w", err)
		}
		if len(shorter) <= MaxLine {
			return fitted, fmt.Sprintf("an entry of the journal had %d bytes, the limit is %d: its texts were cut to %d bytes, its lists to %d parts",
				len(line), MaxLine, most.text, most.parts), nil
		}
	}
	return e, "", fmt.Errorf("an entry of the journal has %d bytes, the limit is %d, and it could not be cut", len(line), MaxLine)
}

// cut bounds every text, list and map in v, and counts the parts that it left out.
func cut(v reflect.Value, text, parts int) (left int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(model.Clip(v.String(), text))
	case reflect.Pointer:
		if !v.IsNil() {
			left += cut(v.Elem(), text, parts)
		}
	case reflect.Slice:
		if over := v.Len() - parts; over > 0 {
			left += over
			v.Set(v.Slice(0, parts))
		}
		for i := range v.Len() {
			left += cut(v.Index(i), text, parts)
		}
	case reflect.Map: // of texts
		for n, key := range v.MapKeys() {
			short := reflect.New(v.Type().Elem()).Elem()
			short.Set(v.MapIndex(key))
			left += cut(short, text, parts)
			if n >= parts || key.Len() > text {
				short, left = reflect.Value{}, left+1
			}
			v.SetMapIndex(key, short)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() { // not the insides of a time
				left += cut(v.Field(i), text, parts)
			}
		}
	}
	return left
}
