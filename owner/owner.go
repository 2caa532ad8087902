// Package owner names the run that has made or changed something on a machine, so
// that another one can tell what a run has left that was killed from what one uses.
package owner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Owner is a run, and the process that carries it out.
type Owner struct {
	Run string `json:"run"`
	PID int    `json:"pid"`
	// Started, in clock ticks since boot, tells the process from a later one of the
	// same number; Boot is that start of the kernel, PIDs the namespace of the number.
	Started uint64    `json:"started"`
	Boot    string    `json:"boot"`
	PIDs    uint64    `json:"pids"`
	Since   time.Time `json:"since"`
}

// Self names this process as the one that carries out a run; one without an identity
// gets one of its own.
func Self(run string) (Owner, error) {
	o := Owner{Run: cmp.Or(run, uuid.NewString()), PID: os.Getpid(), Boot: Boot(), Since: time.Now().UTC().Truncate(time.Second)}
	var err error
	if o.Started, err = Started(o.PID); err == nil {
		o.PIDs, err = pidsOf("self")
	}
	if err != nil {
		return Owner{}, fmt.Errorf("find out who this process is: %w", err)
	}
	return o, nil
}

// Same reports whether both are the one process.
func (o Owner) Same(other Owner) bool {
	return o.PID == other.PID && o.Started == other.Started && o.Boot == other.Boot && o.PIDs == other.PIDs
}

// String says whose run it is.
func (o Owner) String() string {
	return fmt.Sprintf("run %s (pid %d, since %s)", o.Run, o.PID, o.Since.UTC().Format("2006-01-02 15:04:05Z"))
}

// textFields are those of Text, joined by fieldEnd, which is in none of them.
const (
	textFields = 6
	fieldEnd   = "_"
)

// Text is the owner in one word without dots, which Parse reads: for a part of a file's
// name, and a value of LXD's configuration.
func (o Owner) Text() string {
	return strings.Join([]string{
		strings.Map(plain, o.Run), strconv.Itoa(o.PID), strconv.FormatUint(o.Started, 10),
		o.Boot, strconv.FormatUint(o.PIDs, 10), strconv.FormatInt(o.Since.Unix(), 10),
	}, fieldEnd)
}

func plain(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// Parse reads what Text has made.
func Parse(text string) (Owner, error) {
	fields := strings.Split(text, fieldEnd)
	if len(fields) != textFields {
		return Owner{}, fmt.Errorf("read whose run it is: %q has %d fields, not %d", text, len(fields), textFields)
	}
	pid, err := strconv.Atoi(fields[1])
	started, err2 := strconv.ParseUint(fields[2], 10, 64)
	pids, err3 := strconv.ParseUint(fields[4], 10, 64)
	since, err4 := strconv.ParseInt(fields[5], 10, 64)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return Owner{}, fmt.Errorf("read whose run it is: %w", err)
	}
	return Owner{Run: fields[0], PID: pid, Started: started, Boot: fields[3], PIDs: pids, Since: time.Unix(since, 0).UTC()}, nil
}
