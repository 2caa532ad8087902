package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The most that is kept of dockerd's log.
const (
	dockerdLines = 30
	dockerdWidth = 400
)

// dockerdFile is where the init script of Debian's docker.io has the daemon log to.
var dockerdFile = "/var/log/docker.log"

// DockerdLog is the end of the Docker daemon's log in the place that this runs in, from
// its journal, or from /var/log/docker.log where there is no systemd: at most 30 lines,
// none where no daemon has run. It is an error where there is neither.
func DockerdLog(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--output", "short-iso", "--lines", fmt.Sprint(dockerdLines),
		"--unit", "docker.service", "--unit", "snap.docker.dockerd.service")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		text, failed := lastOf(dockerdFile, 2*dockerdLines*dockerdWidth)
		if failed != nil {
			return nil, fmt.Errorf("read dockerd's log: %w; without systemd: %w", err, failed)
		}
		return lastLines(text), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read dockerd's log by journalctl: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return lastLines(string(out)), nil
}

// lastOf is the end of a file, of that many bytes at most.
func lastOf(path string, most int64) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
	return string(text), err
}

// lastLines are the last of a log, none of them longer than is kept.
func lastLines(text string) []string {
	var lines []string
	for l := range strings.Lines(text) {
		if l = strings.TrimRight(l, "\r\n"); l == "" {
			continue
		}
		if len(l) > dockerdWidth {
			l = strings.ToValidUTF8(l[:dockerdWidth], "") + "…"
		}
		lines = append(lines, strings.ToValidUTF8(l, "�"))
	}
	return lines[max(0, len(lines)-dockerdLines):]
}
