package listen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxProcesses = 32768 // that are looked at
	maxFiles     = 16384 // of one process
	maxOwners    = 8     // of one socket
	maxCommand   = 4096  // bytes
)

// findProcesses finds who has the sockets open.
func (r *Report) findProcesses() error {
	owners := map[uint32]*[]Process{}
	for i := range r.Sockets {
		owners[r.Sockets[i].Inode] = &r.Sockets[i].Processes
	}
	for i := range r.Packets {
		owners[r.Packets[i].Inode] = &r.Packets[i].Processes
	}
	delete(owners, 0) // the kernel's own
	if len(owners) == 0 {
		return nil
	}
	pids, err := processes()
	if err != nil {
		return err
	}
	hidden := 0
	for _, pid := range pids {
		err := findIn(pid, owners)
		switch {
		case errors.Is(err, fs.ErrPermission) && exists(pid):
			hidden++
		case errors.Is(err, fs.ErrPermission): // what the kernel says of a link of one that ended
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH): // ended meanwhile
		case err != nil:
			return err
		}
	}
	if hidden > 0 {
		return unavailable(fmt.Sprintf("the sockets of %d processes cannot be seen (root or CAP_SYS_PTRACE)", hidden), nil)
	}
	return nil
}

func exists(pid int) bool {
	_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return err == nil
}

func processes() ([]int, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	names, err := d.Readdirnames(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids[:min(len(pids), maxProcesses)], nil
}

// findIn adds a process to the sockets that it has open.
func findIn(pid int, owners map[uint32]*[]Process) error {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	d, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return err
	}
	files, err := d.Readdirnames(maxFiles)
	if err := errors.Join(ignoreEnd(err), d.Close()); err != nil {
		return err
	}
	found := map[uint32]bool{}
	for _, f := range files {
		link, err := os.Readlink(filepath.Join(dir, "fd", f))
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return err
		}
		if inode, ok := socketOf(link); ok && owners[inode] != nil {
			found[inode] = true
		}
	}
	if len(found) == 0 {
		return nil
	}
	p, err := readProcess(dir, pid)
	if err != nil {
		return err
	}
	for inode := range found {
		if all := owners[inode]; len(*all) < maxOwners {
			*all = append(*all, p)
		}
	}
	return nil
}

// ignoreEnd makes nothing of the end of a directory without entries.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// socketOf returns the inode of a link such as "socket:[123]".
func socketOf(link string) (uint32, bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 32)
	return uint32(inode), err == nil
}

func readProcess(dir string, pid int) (Process, error) {
	name, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return Process{}, err
	}
	f, err := os.Open(filepath.Join(dir, "cmdline"))
	if err != nil {
		return Process{}, err
	}
	line, err := io.ReadAll(io.LimitReader(f, maxConf))
	if err := errors.Join(err, f.Close()); err != nil {
		return Process{}, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, Name: strings.TrimSuffix(string(name), "\n"), Stopped: Stopped(stat)}
	p.Command = arguments(line[:min(len(line), maxCommand)])
	if p.Name == "dnsmasq" {
		told := readDnsmasq(filepath.Join(dir, "root"), arguments(line))
		p.Options, p.Servers, p.ServersRead, p.Pools = told.options, told.servers, told.known, told.pools
	}
	return p, nil
}

// arguments are those of a line of /proc/PID/cmdline.
func arguments(line []byte) (all []string) {
	if len(line) == 0 {
		return nil
	}
	for _, arg := range bytes.Split(bytes.TrimRight(line, "\x00"), []byte{0}) {
		all = append(all, strings.ToValidUTF8(string(arg), "�"))
	}
	return all
}

// Stopped reports whether a process is stopped by a signal (T), by its line in /proc/PID/stat:
// the state comes after the name, which may have any character. One that a tracer holds (t) no
// signal lets go on.
func Stopped(stat []byte) bool {
	_, after, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	return ok && len(after) > 0 && after[0] == 'T'
}
