package model

import "strings"

// DaemonState says what became of a daemon that was started.
type DaemonState string

// The states.
const (
	DaemonExited DaemonState = "exited" // by itself, with ExitCode
	DaemonKilled DaemonState = "killed" // by Signal
	DaemonSilent DaemonState = "silent" // it runs, and its API does not answer
)

// DaemonStates lists them.
func DaemonStates() []DaemonState { return []DaemonState{DaemonExited, DaemonKilled, DaemonSilent} }

// Daemon is how a daemon of a place failed, as whoever started it saw it.
type Daemon struct {
	Place
	// Program is dockerd or containerd.
	Program  string      `json:"program"`
	State    DaemonState `json:"state"`
	ExitCode int         `json:"exit_code,omitempty"`
	Signal   string      `json:"signal,omitempty"`
	// Log is the end of the daemon's own log, line by line.
	Log []string `json:"log"`
}

// Ref is how evidence points at it.
func (d Daemon) Ref() string { return "daemons/" + d.Key() + "/" + d.Program }

// The most that is kept of a daemon's log.
const (
	daemonLines = 30
	daemonWidth = 1 << 10
)

// LogLines are the last lines of a log, none longer than is kept of one.
func LogLines(text string) []string {
	lines := []string{}
	for l := range strings.Lines(text) {
		if l = strings.TrimRight(l, "\r\n"); l != "" {
			lines = append(lines, Clip(strings.ToValidUTF8(l, "�"), daemonWidth))
		}
	}
	return lines[max(0, len(lines)-daemonLines):]
}

// Daemon is the last failure of a daemon of a place; false where none failed.
func (r Run) Daemon(p Place) (Daemon, bool) {
	for i := len(r.Daemons) - 1; i >= 0; i-- {
		if r.Daemons[i].Place == p {
			return r.Daemons[i], true
		}
	}
	return Daemon{}, false
}

// LastWords are what a daemon that failed said of it.
type LastWords struct {
	// Place is the place's name, Program the daemon's.
	Place   string   `json:"place"`
	Program string   `json:"program"`
	Lines   []string `json:"lines"`
	Refs    []string `json:"refs"`
}
