package facts

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"

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
)

// daemonProcess is the process of a dockerd, as far as it can be seen.
type daemonProcess struct {
	pid     int
	name    string
	stopped bool
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
	d.PID, d.Process, d.Stopped, d.ProxyVariables = p.pid, p.name, p.stopped, p.proxies
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

// findDockerd finds who listens on a socket, or, where that is the init system on its behalf
// or nobody, a process of its name.
func findDockerd(ctx context.Context, socket string) daemonProcess {
	if socket == "" {
		return daemonProcess{}
	}
	if pid := peer(ctx, socket); pid > 1 {
		if p, ok := readDaemon(pid); ok {
			return p
		}
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return daemonProcess{}
	}
	own, _ := os.Readlink("/proc/self/ns/pid")
	for _, path := range names {
		text, err := os.ReadFile(path)
		dir := filepath.Dir(path)
		if err != nil || strings.TrimSuffix(string(text), "\n") != dockerName {
			continue
		}
		// One in a container has a PID namespace of its own.
		if its, err := os.Readlink(filepath.Join(dir, "ns/pid")); err != nil || its != own {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			if p, ok := readDaemon(pid); ok {
				return p
			}
		}
	}
	return daemonProcess{}
}

// peer is the process that listens on a socket of the file system; 0 for nobody, or for one
// that is not to be seen from here. The kernel takes a connection for one that is stopped.
func peer(ctx context.Context, socket string) (pid int) {
	dialer := net.Dialer{Timeout: peerDeadline}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0
	}
	err = control.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// readDaemon reads a process; false for one that has ended, or for systemd, which listens on
// behalf of another.
func readDaemon(pid int) (daemonProcess, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	name, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return daemonProcess{}, false
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return daemonProcess{}, false
	}
	p := daemonProcess{pid: pid, name: strings.ToValidUTF8(strings.TrimSuffix(string(name), "\n"), "�"), stopped: stoppedState(stat)}
	if p.name == "systemd" {
		return daemonProcess{}, false
	}
	p.args = words(filepath.Join(dir, "cmdline"))
	for _, v := range words(filepath.Join(dir, "environ")) {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case name == "PATH":
			p.path = filepath.SplitList(value)
		case value != "" && slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY"}, strings.ToUpper(name)):
			p.proxies = append(p.proxies, name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "root", "etc")); err == nil {
		p.root = filepath.Join(dir, "root")
	}
	return p, true
}

// words are the strings of a file of /proc that end in a zero each; none where it cannot be
// read.
func words(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var all []string
	for _, w := range bytes.Split(bytes.TrimRight(text[:min(len(text), maxArguments)], "\x00"), []byte{0}) {
		all = append(all, string(w))
	}
	return all
}

// stoppedState reports whether a process is stopped by a signal, by its line in /proc/PID/stat:
// the state comes after the name, which may have any character.
func stoppedState(stat []byte) bool {
	_, after, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	return ok && len(after) > 0 && (after[0] == 'T' || after[0] == 't')
}
