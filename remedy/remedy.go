// Package remedy makes named changes to a host that are meant to help, and takes
// them back. What it takes to undo a change is in the journal before the change
// is made, so that Revert works after a crash at any point, and in another process.
package remedy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// DefaultJournal is where the command keeps the journal.
const DefaultJournal = "/var/lib/nestlab/remedies.json"

// ErrByHand is what Apply says of a remedy that nestlab only gives instructions for.
var ErrByHand = errors.New("nothing was changed: this one is done by hand")

// ErrNothing is what Apply says where the host is as the remedy would make it.
var ErrNothing = errors.New("there is nothing to do")

// Host applies remedies to the network namespace and the files it runs with.
type Host struct {
	// Journal is the file that says what is applied; its directory is made.
	Journal string
	// Owner is the run that applies, which keeps the host with Hold meanwhile. Nil is for
	// a person, whose remedies stay until a person takes them back.
	Owner *owner.Owner
	// Sole says that nothing but runs writes the journal, none of which keeps the host.
	Sole bool
	// RestartDocker has the Docker daemon restart and waits until it answers, for
	// the remedies in its configuration. Nil leaves that to whoever the daemon is run
	// by: such a remedy is applied, and does nothing yet.
	RestartDocker func(ctx context.Context) error

	// reached is told each point of a change; tests end the process there.
	reached func(point string)
}

// Names lists the known remedies, the narrowest first.
func Names() []string { return catalogue.Names() }

// Applied lists what the journal says is applied, in the order of application.
func (h Host) Applied() ([]model.Remedy, error) {
	j, err := h.read()
	if err != nil {
		return nil, err
	}
	var applied []model.Remedy
	for _, e := range j.Applied {
		applied = append(applied, e.Remedy)
	}
	return applied, nil
}

// Check says why a remedy cannot be applied; nil where it can. It changes nothing.
func (h Host) Check(ctx context.Context, r model.Remedy) error {
	_, _, err := prepare(ctx, r)
	return err
}

// Can says why a remedy would not show at once after Apply, which it has to for a
// test of its effect; nil where it would. It looks at nothing.
func (h Host) Can(r model.Remedy) error {
	if catalogue.RestartsOf(r) == catalogue.RestartDocker && h.RestartDocker == nil {
		return fmt.Errorf("the remedy %s shows when dockerd is restarted, which is not nestlab's to do here", r.Name)
	}
	return nil
}

// restart has the daemon take notice of a change of its configuration.
func (h Host) restart(ctx context.Context, r model.Remedy) error {
	if h.RestartDocker == nil || catalogue.RestartsOf(r) != catalogue.RestartDocker {
		return nil
	}
	if err := h.RestartDocker(ctx); err != nil {
		return fmt.Errorf("restart dockerd for the remedy %s: %w", r.Name, err)
	}
	return nil
}

// completed is a remedy with the parameters that have a default, as the journal has it.
func completed(r model.Remedy) model.Remedy {
	if known, err := catalogue.Find(r.Name); err == nil {
		if full, err := known.Complete(r.Parameters); err == nil {
			r.Parameters = full
		}
	}
	return r
}

// prepare completes the parameters and plans the steps.
func prepare(ctx context.Context, r model.Remedy) (model.Remedy, []record, error) {
	known, err := catalogue.Find(r.Name)
	if err != nil {
		return r, nil, err
	}
	if r.Parameters, err = known.Complete(r.Parameters); err != nil {
		return r, nil, err
	}
	if known.ByHand {
		return r, nil, fmt.Errorf("the remedy %s: %w", r.Name, ErrByHand)
	}
	r.Commands = known.Commands(r.Parameters)
	steps, err := plans()[r.Name](ctx, r.Parameters)
	if err != nil {
		return r, nil, fmt.Errorf("the remedy %s: %w", r.Name, err)
	}
	return r, steps, nil
}

// Apply makes the change; if a part of it fails, all of it is reverted.
// Applying what is applied already is an error.
func (h Host) Apply(ctx context.Context, r model.Remedy) (err error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := h.read()
	if err != nil {
		return err
	}
	if err := j.renew(); err != nil {
		return err
	}
	if j.find(completed(r)) >= 0 {
		return fmt.Errorf("the remedy %s is applied already with these parameters; revert it first", r.Name)
	}
	r, steps, err := prepare(ctx, r)
	if err != nil {
		return err
	}
	j.Applied = append(j.Applied, entry{Remedy: r, Since: time.Now().UTC(), Owner: h.Owner, Steps: steps})
	if err := h.write(j); err != nil {
		return err
	}
	h.at("journal")
	for i := range steps {
		if err := h.do(ctx, j, &steps[i]); err != nil {
			undone := h.undo(context.WithoutCancel(ctx), &j, len(j.Applied)-1)
			return errors.Join(fmt.Errorf("apply the remedy %s: %w", r.Name, err), undone)
		}
		h.at(fmt.Sprintf("step %d", i+1))
	}
	if err := h.restart(ctx, r); err != nil {
		return errors.Join(err, h.undo(context.WithoutCancel(ctx), &j, len(j.Applied)-1))
	}
	return nil
}

func (h Host) do(ctx context.Context, j journal, r *record) error {
	s, err := r.step()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	if err := s.do(ctx, func() error { return h.write(j) }); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

// Revert takes the change back, whether it was made in full, in part or not at
// all. What the journal does not name is nothing to do.
func (h Host) Revert(ctx context.Context, r model.Remedy) (err error) {
	r = completed(r)
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := h.read()
	if err != nil {
		return err
	}
	i := j.find(r)
	if i < 0 {
		return nil
	}
	if later := j.over(i); later != "" {
		return fmt.Errorf("take the remedy %s back: %s was applied later to the same thing; revert that first", r.Name, later)
	}
	return h.undo(ctx, &j, i)
}

// RevertAll reverts everything that the journal names, the last one first,
// and lists it. What one failure leaves does not keep the others.
func (h Host) RevertAll(ctx context.Context) (reverted []model.Remedy, err error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	j, err := h.read()
	if err != nil {
		return nil, err
	}
	for i := len(j.Applied) - 1; i >= 0; i-- {
		r := j.Applied[i].Remedy
		if undone := h.undo(ctx, &j, i); undone != nil {
			err = errors.Join(err, undone)
			continue
		}
		reverted = append(reverted, r)
	}
	return reverted, err
}

// undo takes one entry back, its last step first, and out of the journal.
func (h Host) undo(ctx context.Context, j *journal, i int) error {
	e := j.Applied[i]
	var errs []error
	for k := len(e.Steps) - 1; k >= 0; k-- {
		s, err := e.Steps[k].step()
		if err == nil && (cmp.Or(e.Boot, j.Boot) == owner.Boot() || s.lasts()) {
			err = s.undo(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("take the remedy %s back: %s: %w", e.Remedy.Name, e.Steps[k], err))
		}
		h.at(fmt.Sprintf("undone %d", k+1))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	// Before the journal forgets it: whoever is killed here restarts it again.
	if err := h.restart(ctx, e.Remedy); err != nil {
		return err
	}
	j.Applied = slices.Delete(j.Applied, i, i+1)
	return h.write(*j)
}

// Text is a remedy with its parameters in one line.
func Text(r model.Remedy) string {
	words := []string{r.Name}
	for _, k := range slices.Sorted(maps.Keys(r.Parameters)) {
		words = append(words, k+"="+r.Parameters[k])
	}
	return strings.Join(words, " ")
}

func (h Host) at(point string) {
	if h.reached != nil {
		h.reached(point)
	}
}
