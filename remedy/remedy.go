// Package remedy makes named changes to a host that are meant to help, and takes
// them back. Every change is journalled before it is made, so that a killed run
// leaves a record from which Revert can still undo it.
package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// change is one kind of remedy.
type change struct {
	name   string
	apply  func(ctx context.Context, parameters map[string]string) error
	revert func(ctx context.Context, parameters map[string]string) error
}

func changes() []change {
	return []change{{name: DockerUserAccept, apply: acceptBridge, revert: unacceptBridge}}
}

// Names lists the known remedies, the narrowest first.
func Names() []string {
	var names []string
	for _, c := range changes() {
		names = append(names, c.name)
	}
	return names
}

// Host applies remedies to the network namespace it runs in.
type Host struct {
	// Journal is the file that says what is applied; its directory must be there.
	Journal string
}

// Applied lists what the journal says is applied, in the order of application.
func (h Host) Applied() ([]model.Remedy, error) {
	text, err := os.ReadFile(h.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which remedies are applied: %w", err)
	}
	var applied []model.Remedy
	if err := json.Unmarshal(text, &applied); err != nil {
		return nil, fmt.Errorf("the journal of remedies %s is broken: %w; look at the host's rules by hand and remove it", h.Journal, err)
	}
	return applied, nil
}

// Apply makes the change. Applying what is applied already is an error.
func (h Host) Apply(ctx context.Context, r model.Remedy) error {
	c, err := find(r.Name)
	if err != nil {
		return err
	}
	applied, err := h.Applied()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(applied, r.Equal) {
		return fmt.Errorf("the remedy %s is applied already; revert it first", r.Name)
	}
	if err := h.write(append(applied, r)); err != nil {
		return err
	}
	if err := c.apply(ctx, r.Parameters); err != nil {
		return errors.Join(fmt.Errorf("apply the remedy %s: %w", r.Name, err), h.Revert(context.WithoutCancel(ctx), r))
	}
	return nil
}

// Revert takes the change back, whether it was made in full, in part or not at all.
func (h Host) Revert(ctx context.Context, r model.Remedy) error {
	c, err := find(r.Name)
	if err != nil {
		return err
	}
	if err := c.revert(ctx, r.Parameters); err != nil {
		return fmt.Errorf("take the remedy %s back: %w", r.Name, err)
	}
	applied, err := h.Applied()
	if err != nil {
		return err
	}
	return h.write(slices.DeleteFunc(applied, r.Equal))
}

// write replaces the journal in one step.
func (h Host) write(applied []model.Remedy) error {
	text, err := json.MarshalIndent(applied, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the journal of remedies: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(h.Journal), ".remedies-")
	if err != nil {
		return fmt.Errorf("write the journal of remedies: %w", err)
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), h.Journal)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the journal of remedies: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

func find(name string) (change, error) {
	for _, c := range changes() {
		if c.name == name {
			return c, nil
		}
	}
	return change{}, fmt.Errorf("unknown remedy %q: the known ones are %s", name, strings.Join(Names(), ", "))
}
