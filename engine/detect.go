package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// runnerHost is the variable by which a dagger CLI finds its engine.
	runnerHost = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
	// dockerDeadline is what the Docker daemon gets to answer.
	dockerDeadline = 10 * time.Second
)

// existing is an engine that is not ours to start or stop.
type existing struct {
	how     string
	exports [][2]string
}

// detect looks for an engine and a CLI that are there already: a dagger on PATH
// with either a set runner host or a Docker daemon that answers. Our own, from
// an earlier engine-env, do not count.
func detect(ctx context.Context, c cache, lookup func(string) (string, bool)) (existing, bool) {
	path, _ := lookup("PATH")
	cli := foreignCLI(path, c.path("bin"))
	if cli == "" {
		return existing{}, false
	}
	if host, ok := lookup(runnerHost); ok && host != "" && host != "unix://"+c.socket() {
		return existing{fmt.Sprintf("%s, named by %s, with %s", host, runnerHost, cli), [][2]string{{runnerHost, host}}}, true
	}
	version, ok := dockerVersion(ctx)
	if !ok {
		return existing{}, false
	}
	return existing{how: fmt.Sprintf("the one that %s runs in Docker %s", cli, version)}, true
}

// answers checks that an engine named by its address takes connections; other
// ways to name one (docker-image://, kube-pod://) are the CLI's to follow. The
// CLI itself would go on trying for minutes without a word.
func (e existing) answers(ctx context.Context) error {
	if len(e.exports) == 0 {
		return nil
	}
	host := e.exports[0][1]
	network, address, found := strings.Cut(host, "://")
	if !found || network != "unix" && network != "tcp" {
		return nil
	}
	dialer := net.Dialer{Timeout: dockerDeadline}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("the engine that %s names does not answer: %w; start it, or unset %s to use one of our own",
			runnerHost, err, runnerHost)
	}
	return conn.Close()
}

// foreignCLI is the first dagger on a PATH that is not in our own directory.
func foreignCLI(path, own string) string {
	for _, dir := range filepath.SplitList(path) {
		if dir == "" || filepath.Clean(dir) == own {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, "dagger")); err == nil {
			return found
		}
	}
	return ""
}

// dockerVersion asks the daemon, not the client: a docker on PATH proves nothing.
func dockerVersion(ctx context.Context) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, dockerDeadline)
	defer cancel()
	b, err := newCommand(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	version := strings.TrimSpace(string(b))
	return version, err == nil && version != "" && version != "<no value>"
}
