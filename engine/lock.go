package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how often a second run looks whether the first has ended.
const lockPoll = 200 * time.Millisecond

// holder is who has the lock, for the one who waits.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// lock makes this run the only one that builds, starts, stops or removes. It
// waits for a run that is at it and says for which. The lock is a file beside
// the cache, so that removing the cache does not remove the lock.
func (c cache) lock(ctx context.Context, out *progress) (unlock func() error, err error) {
	path := c.dir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the lock: %w", err)
	}
	l := flock.New(path)
	got, err := l.TryLock()
	if err == nil && !got {
		out.say("waiting for %s, which works on the same cache", whoHolds(path))
		got, err = l.TryLockContext(ctx, lockPoll)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !got {
		return nil, fmt.Errorf("lock %s: not granted", path)
	}
	me := holder{PID: os.Getpid(), Command: strings.Join(os.Args[1:], " "), Since: time.Now().UTC().Truncate(time.Second)}
	if err := writeJSON(path+".holder", me); err != nil {
		return nil, errors.Join(fmt.Errorf("say who holds the lock: %w", err), l.Unlock())
	}
	return func() error {
		return errors.Join(os.Remove(path+".holder"), l.Unlock())
	}, nil
}

// whoHolds describes the lock's holder as well as it can.
func whoHolds(path string) string {
	var h holder
	b, err := os.ReadFile(path + ".holder")
	if err != nil || json.Unmarshal(b, &h) != nil || h.PID == 0 {
		return "another run"
	}
	return fmt.Sprintf("process %d (engine %s, since %s)", h.PID, h.Command, h.Since.Local().Format(time.TimeOnly))
}
