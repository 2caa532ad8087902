package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// DropCapabilities takes capabilities out of an OCI bundle's config.json or of
// the file of one process. Everything else in it stays, also what this program
// knows nothing of. The file is replaced as a whole or not at all.
func DropCapabilities(file string, missing []string) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the container's specification: %w", err)
	}
	after, changed, err := withoutCapabilities(before, missing)
	if err != nil {
		return fmt.Errorf("read the container's specification %s: %w", file, err)
	}
	if !changed {
		return nil
	}
	if err := replaceFile(file, after); err != nil {
		return fmt.Errorf("write the container's specification: %w", err)
	}
	return nil
}

// withoutCapabilities edits generic JSON: the specification's own Go types would
// lose the fields of other versions.
func withoutCapabilities(data []byte, missing []string) (_ []byte, changed bool, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // an int64 such as a memory limit does not fit a float64
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, false, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, false, errors.New("more than one JSON value")
	}
	process := document // of exec
	if inner, found := document["process"]; found {
		object, ok := inner.(map[string]any)
		if !ok {
			return nil, false, errors.New("process is not an object")
		}
		process = object
	}
	sets, found := process["capabilities"]
	if !found || sets == nil {
		return data, false, nil
	}
	object, ok := sets.(map[string]any)
	if !ok {
		return nil, false, errors.New("process.capabilities is not an object")
	}
	for name, set := range object {
		list, ok := set.([]any)
		if !ok && set != nil {
			return nil, false, fmt.Errorf("process.capabilities.%s is not a list", name)
		}
		kept := slices.DeleteFunc(slices.Clone(list), func(c any) bool {
			text, ok := c.(string)
			return ok && slices.Contains(missing, text)
		})
		if len(kept) < len(list) {
			object[name], changed = kept, true
		}
	}
	if !changed {
		return data, false, nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // as it was
	err = encoder.Encode(document)
	return out.Bytes(), true, err
}

// replaceFile writes a file beside the old one, with its mode and owner, and puts it in its place.
func replaceFile(path string, data []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, keepOwner(f, info), f.Chmod(info.Mode().Perm()), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// keepOwner gives f the owner that info tells.
func keepOwner(f *os.File, info os.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(stat.Uid), int(stat.Gid))
	}
	return nil
}
