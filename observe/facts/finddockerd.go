package facts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/listen"
)

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
	pid, holds := choose(namesakes(), owner(socket), inodes(socket))
	p, ok := readDaemon(pid)
	if !ok {
		return daemonProcess{}
	}
	p.named = !holds
	return p
}

// namesake is a process that is called dockerd, which any may be.
type namesake struct {
	pid int
	uid uint32
	// sockets are those that it has open; known is false where they cannot be seen.
	sockets []string
	known   bool
}

// choose finds whose socket it is: of root or the socket's owner, who has it open, or, where
// that cannot be seen, who is the owner's. It is 0 for nobody.
func choose(all []namesake, owner uint32, inodes []string) (pid int, holds bool) {
	var best namesake
	for _, n := range all {
		if n.uid != 0 && n.uid != owner {
			continue
		}
		known := n.known && len(inodes) > 0
		switch {
		case known && slices.ContainsFunc(n.sockets, func(s string) bool { return slices.Contains(inodes, s) }):
			return n.pid, true
		case !known && (best.pid == 0 || best.uid != owner && n.uid == owner):
			best = n
		}
	}
	return best.pid, false
}

// namesakes are the processes of this PID namespace, as one in a container has its own, that
// are called dockerd.
func namesakes() (all []namesake) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	own, _ := os.Readlink("/proc/self/ns/pid")
	for _, path := range names {
		text, err := os.ReadFile(path)
		dir := filepath.Dir(path)
		if err != nil || strings.TrimSuffix(string(text), "\n") != dockerName {
			continue
		}
		if its, err := os.Readlink(filepath.Join(dir, "ns/pid")); err != nil || its != own {
			continue
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue
		}
		uid, one := uidOf(status)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if !one || err != nil {
			continue
		}
		n := namesake{pid: pid, uid: uid}
		n.sockets, n.known = socketsOf(dir)
		all = append(all, n)
	}
	return all
}

// uidOf is the user of a process, by its /proc/PID/status; false for one that has two, as a
// program with the set-user-ID bit has, whose name its caller chooses.
func uidOf(status []byte) (uint32, bool) {
	for l := range strings.Lines(string(status)) {
		text, is := strings.CutPrefix(l, "Uid:")
		if !is {
			continue
		}
		ids := strings.Fields(text) // real, effective, saved, of the file system
		if len(ids) != 4 || slices.ContainsFunc(ids, func(id string) bool { return id != ids[0] }) {
			return 0, false
		}
		uid, err := strconv.ParseUint(ids[0], 10, 32)
		return uint32(uid), err == nil
	}
	return 0, false
}

// socketsOf are the inodes of the sockets that a process has open.
func socketsOf(dir string) (all []string, known bool) {
	d, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, false
	}
	files, err := d.Readdirnames(maxFiles)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if errors.Join(err, d.Close()) != nil {
		return nil, false
	}
	for _, f := range files {
		link, err := os.Readlink(filepath.Join(dir, "fd", f))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, is := strings.CutPrefix(link, "socket:["); is {
			all = append(all, strings.TrimSuffix(inode, "]"))
		}
	}
	return all, true
}

// owner is the user that a socket belongs to, root where there is none.
func owner(socket string) uint32 {
	var what unix.Stat_t
	if unix.Stat(socket, &what) != nil {
		return 0
	}
	return what.Uid
}

// inodes are those of the sockets that listen at a path; none where nobody is known to.
func inodes(socket string) (all []string) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	at, err := filepath.EvalSymlinks(socket)
	if err != nil {
		return nil
	}
	// It is listed as its maker called it.
	names := []string{socket, at}
	if strings.HasPrefix(at, "/run/") {
		names = append(names, "/var"+at)
	}
	for l := range strings.Lines(string(text)) {
		// Num RefCount Protocol Flags Type St Inode Path
		words := strings.Fields(l)
		if len(words) < 8 || words[3] != "00010000" { // it listens
			continue
		}
		if slices.Contains(names, words[7]) {
			all = append(all, words[6])
		}
	}
	return all
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
	p := daemonProcess{pid: pid, name: strings.ToValidUTF8(strings.TrimSuffix(string(name), "\n"), "�"), stopped: listen.Stopped(stat)}
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
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxArguments))
	if errors.Join(err, f.Close()) != nil {
		return nil
	}
	var all []string
	for _, w := range bytes.Split(bytes.TrimRight(text, "\x00"), []byte{0}) {
		all = append(all, string(w))
	}
	return all
}
