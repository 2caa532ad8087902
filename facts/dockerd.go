package facts

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// The most that is kept of dockerd's log.
const (
	dockerdLines = 30
	dockerdWidth = 400
)

// DockerdLog is the end of the Docker daemon's log in the journal of the place that
// this runs in: at most 30 lines, none where no daemon has run. It is an error where
// there is no journal.
func DockerdLog(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--output", "short-iso", "--lines", fmt.Sprint(dockerdLines),
		"--unit", "docker.service", "--unit", "snap.docker.dockerd.service")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read dockerd's log by journalctl: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return lastLines(string(out)), nil
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
