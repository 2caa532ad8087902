package facts

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"github.com/nestlab/nestlab/model"
)

const (
	dockerSocket = "/var/run/docker.sock"
	dockerConfig = "/etc/docker/daemon.json"
	dockerRoot   = "/var/lib/docker"
	dockerCerts  = "/etc/docker/certs.d"

	dockerName   = "dockerd" // of its process
	peerDeadline = time.Second
	maxArguments = 64 << 10
	maxFiles     = 16384 // of one process
)

// daemonProcess is the process of a dockerd, as far as it can be seen.
type daemonProcess struct {
	pid     int
	name    string
	stopped bool
	named   bool // known by its name alone
	args    []string
	// root is before the paths that it sees; empty for its own where there is no process.
	root string
	// path are the directories of its programs, proxies the variables that name a proxy.
	path, proxies []string
}

// dockerd reads what is known of dockerd where it runs: nothing where there is no process,
// no configuration, and no file in place of its socket.
func dockerd(ctx context.Context, host string, f *model.Facts) error {
	d := &model.Dockerd{}
	socket := socketPath(host)
	if info, err := os.Stat(socket); err == nil {
		switch {
		case info.IsDir():
			d.NotASocket, d.Kind = socket, "directory"
		case info.Mode().IsRegular():
			d.NotASocket, d.Kind = socket, "file"
		}
	}
	p := findDockerd(ctx, socket)
	d.PID, d.Process, d.ByName, d.Stopped, d.ProxyVariables = p.pid, p.name, p.named, p.stopped, p.proxies
	err := readAllSettings(d, p)
	if d.PID == 0 && d.NotASocket == "" && len(d.Settings) == 0 {
		return err
	}
	f.Engine = d
	return errors.Join(err, needs(d, p, f.Docker))
}

// readAllSettings reads those of the flags and of the file that these name.
func readAllSettings(d *model.Dockerd, p daemonProcess) error {
	path, flags := dockerConfig, []model.DockerSetting(nil)
	if strings.Contains(p.name, dockerName) {
		if config, found := parseFlags(p.args); config != "" {
			path, flags = config, found
		} else {
			flags = found
		}
	}
	settings, err := readSettings(p.root, path)
	d.Settings = append(flags, settings...)
	return err
}

// socketPath is the path of the daemon's socket; empty for a daemon elsewhere.
func socketPath(host string) string {
	if host == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" {
		return dockerSocket
	}
	u, err := client.ParseHostURL(host)
	if err != nil || u.Scheme != "unix" {
		return ""
	}
	return u.Host + u.Path
}
