package dind

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/tail"
)

// logName is the daemon's log in its directory.
const logName = "dockerd.log"

// keptLog is how much of the end of a log is read for its last lines, in bytes.
const keptLog = 16 << 10

// ending says how a daemon ended: by which exit code or signal.
func ending(program string, err error, log string) *session.DaemonError {
	d := model.Daemon{Program: program, State: model.DaemonExited, Log: model.LogLines(tail.File(log, keptLog))}
	exit := (*exec.ExitError)(nil)
	if errors.As(err, &exit) {
		d.ExitCode = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			d.State, d.ExitCode, d.Signal = model.DaemonKilled, 0, status.Signal().String()
		}
	}
	return &session.DaemonError{Daemon: d, Err: err}
}

// silent says of a daemon that it runs and does not answer.
func silent(program, log string, err error) *session.DaemonError {
	return &session.DaemonError{Err: err, Daemon: model.Daemon{
		Program: program, State: model.DaemonSilent, Log: model.LogLines(tail.File(log, keptLog)),
	}}
}

// failureFile tells whoever is outside of the daemon's container how it failed for good.
func failureFile(dir string) string { return filepath.Join(dir, "dockerd-failed.json") }

// record writes the failure down. Where that cannot be done it goes to what the supervisor
// returns.
func (d *Daemon) record(failed model.Daemon) {
	text, err := json.Marshal(failed)
	tmp := failureFile(d.Dir) + ".tmp"
	if err == nil {
		err = os.WriteFile(tmp, text, 0o644)
	}
	if err == nil {
		err = os.Rename(tmp, failureFile(d.Dir)) // in one step: it is polled
	}
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.err = errors.Join(d.err, fmt.Errorf("record how dockerd ended: %w", err))
	}
}

// readFailure reads it; known is false where none was recorded. Who is inside the container
// writes the file, and may write anything.
func readFailure(dir string) (failed error, known bool, err error) {
	f, err := os.OpenInRoot(dir, filepath.Base(failureFile(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	var d model.Daemon
	if err == nil {
		defer f.Close()
		err = json.NewDecoder(io.LimitReader(f, 4*keptLog)).Decode(&d)
	}
	if err == nil && !slices.Contains(model.DaemonStates(), d.State) {
		err = fmt.Errorf("no daemon's state is %.20q", d.State)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read how the nested daemon ended: %w", err)
	}
	d.Place, d.Program, d.Signal = model.Place{}, "dockerd", model.Clip(d.Signal, model.MaxMessage)
	d.Log = model.LogLines(strings.Join(d.Log, "\n"))
	return &session.DaemonError{Daemon: d, Err: errors.New("dockerd ended by itself")}, true, nil
}
