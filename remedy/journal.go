package remedy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
)

// schema names the journal's form.
const schema = "nestlab.remedies/v1"

// journal is what is applied, with all that it takes to undo it.
type journal struct {
	Schema string `json:"schema"`
	// Boot and Namespace tell which run of the kernel, and which of its networks,
	// the changes were made in.
	Boot      string  `json:"boot"`
	Namespace string  `json:"namespace"`
	Applied   []entry `json:"applied"`
}

type entry struct {
	Remedy model.Remedy `json:"remedy"`
	Since  time.Time    `json:"since"`
	// Owner is the run that it is of; nil for a person, or a run of an older nestlab.
	Owner *owner.Owner `json:"owner,omitempty"`
	// Boot is set where it is not the journal's: the kernel was restarted since.
	Boot  string   `json:"boot,omitempty"`
	Steps []record `json:"steps"`
}

// find is the place of a remedy, or -1.
func (j journal) find(r model.Remedy) int {
	return slices.IndexFunc(j.Applied, func(e entry) bool { return e.Remedy.Equal(r) })
}

// renew has a journal from before a reboot take entries of now.
func (j *journal) renew() error {
	here, err := namespace()
	if err != nil || j.Boot == owner.Boot() {
		return err
	}
	for i := range j.Applied {
		j.Applied[i].Boot = cmp.Or(j.Applied[i].Boot, j.Boot)
	}
	j.Boot, j.Namespace = owner.Boot(), here
	return nil
}

// over names a remedy that was applied after i to something that i changed too.
func (j journal) over(i int) string {
	var targets []string
	for _, s := range j.Applied[i].Steps {
		targets = append(targets, s.target())
	}
	for _, e := range j.Applied[i+1:] {
		for _, s := range e.Steps {
			if t := s.target(); t != "" && slices.Contains(targets, t) {
				return Text(e.Remedy)
			}
		}
	}
	return ""
}

// namespace names the network that this process is in.
func namespace() (string, error) {
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", fmt.Errorf("find out which network namespace this is: %w", err)
	}
	return name, nil
}

// read gives the journal, an empty one where there is none.
func (h Host) read() (journal, error) {
	here, err := namespace()
	if err != nil {
		return journal{}, err
	}
	text, err := readTrusted(h.Journal)
	if errors.Is(err, fs.ErrNotExist) {
		return journal{Schema: schema, Boot: owner.Boot(), Namespace: here}, nil
	}
	if err != nil {
		return journal{}, fmt.Errorf("read which remedies are applied: %w", err)
	}
	var j journal
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&j)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("there is more after it")
	}
	if err != nil {
		return journal{}, fmt.Errorf("the journal of remedies %s is broken: %w; look at the host's rules by hand and remove it", h.Journal, err)
	}
	if j.Schema != schema {
		return journal{}, fmt.Errorf("%s is no journal of this nestlab: its schema is %q, not %q; give another --journal, or use the nestlab that wrote it", h.Journal, j.Schema, schema)
	}
	if j.Boot == owner.Boot() && j.Namespace != here {
		return journal{}, fmt.Errorf("the journal of remedies %s belongs to another network namespace (%s, this is %s); revert there, or remove it if that one is gone", h.Journal, j.Namespace, here)
	}
	for _, e := range j.Applied {
		for _, s := range e.Steps {
			if _, err := s.step(); err != nil {
				return journal{}, fmt.Errorf("the journal of remedies %s: remedy %s: %w", h.Journal, e.Remedy.Name, err)
			}
		}
	}
	return j, nil
}

// write replaces the journal in one step; an empty one is removed.
func (h Host) write(j journal) error {
	err := func() error {
		if len(j.Applied) == 0 {
			if err := os.Remove(h.Journal); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return syncDirectory(filepath.Dir(h.Journal))
		}
		text, err := json.MarshalIndent(j, "", "  ")
		if err != nil {
			return err
		}
		// Rule sets and files of the host are in it: for root alone.
		return replaceFile(h.Journal, text, 0o600)
	}()
	if err != nil {
		return fmt.Errorf("write the journal of remedies: %w", err)
	}
	return nil
}

// replaceFile puts a file in the place of another in one step, and waits until
// that is on the disk. Only one process may do so at a time.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	tmp := path + temporary
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Made here, and no link that somebody else has put there.
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDirectory(filepath.Dir(path))
}

// temporary ends the name of a file that is not complete.
const temporary = ".nestlab-new"

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// asRoot is the next step where it is that.
func asRoot(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return " (it takes root: sudo)"
	}
	return ""
}

// lockedFor is how long the lock is waited for.
const lockedFor = 2 * time.Second

// lock keeps a second nestlab from changing the host meanwhile, for a run that keeps it
// anyway from writing the journal. The lock goes with the process, however it ends.
func (h Host) lock(ctx context.Context) (unlock func() error, err error) {
	if h.Owner != nil {
		return h.lockJournal(ctx)
	}
	release, err := h.Hold(ctx, 0, nil)
	if err != nil {
		return nil, err
	}
	written, err := h.lockJournal(ctx)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return func() error { return errors.Join(written(), release()) }, nil
}

func (h Host) lockJournal(ctx context.Context) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(h.Journal), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the journal of remedies%s: %w", asRoot(err), err)
	}
	unlock, err = lockFile(ctx, h.Journal+".lock", lockedFor, "the journal of remedies "+h.Journal,
		"another nestlab is applying or reverting remedies with "+h.Journal+" right now; try again when it is done")
	if err != nil {
		return nil, err
	}
	// What a process that was killed while it wrote has left.
	if err := os.Remove(h.Journal + temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("lock the journal of remedies %s: %w", h.Journal, err), unlock())
	}
	return unlock, nil
}

// lockFile takes a lock by a file, at most so long; busy says who else may have it. It goes
// with the process, however that ends.
func lockFile(ctx context.Context, path string, limit time.Duration, what, busy string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s%s: %w", what, asRoot(err), err)
	}
	// A process that was just killed may hold it for a moment more, in a child that
	// it had not made a program of its own yet.
	try := func() (struct{}, error) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err = backoff.Retry(ctx, try, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	switch {
	case err == nil:
		return f.Close, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = errors.New(busy)
	default:
		err = fmt.Errorf("lock %s: %w", what, err)
	}
	return nil, errors.Join(err, f.Close())
}
