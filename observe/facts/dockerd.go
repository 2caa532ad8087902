package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// The most that is kept of dockerd's log.
const (
	dockerdLines = 30
	dockerdWidth = 400
)

// dockerdFiles are where the daemon logs to without systemd: the init script of Debian's
// docker.io, and nestlab itself in a container and elsewhere. The first that is there counts.
var dockerdFiles = []string{"/var/log/docker.log", "/run/nestlab/dockerd.log", "/var/lib/nestlab/dockerd/dockerd.log"}

// DockerdLog is the end of the Docker daemon's log in the place that this runs in, from
// its journal, or from its file where there is no systemd: at most 30 lines,
// none where no daemon has run. It is an error where there is neither.
func DockerdLog(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	most := fmt.Sprint(dockerdLines)
	text, err := printed(ctx, "journalctl", "--quiet", "--no-pager", "--output", "short-iso", "--lines", most,
		"--unit", "docker.service", "--unit", "snap.docker.dockerd.service")
	if errors.Is(err, exec.ErrNotFound) {
		i := slices.IndexFunc(dockerdFiles, func(path string) bool { _, err := os.Stat(path); return err == nil })
		text, err = printed(ctx, "tail", "-n", most, dockerdFiles[max(i, 0)])
	}
	if err != nil {
		return nil, fmt.Errorf("read dockerd's log: %w", err)
	}
	return lastLines(text), nil
}

// printed is what a command prints.
func printed(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
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
