package owner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Life is whether an owner's process is still there.
type Life int

const (
	// Ended says that the process is gone.
	Ended Life = iota
	// Lives says that it is there.
	Lives
	// Unseen says that it is, or was, in another container, of which this process sees
	// nothing.
	Unseen
	// OtherBoot says that it is one of another machine, or of this one before a reboot.
	OtherBoot
)

// Life looks whether the owner's process is still there.
func (o Owner) Life() Life {
	if o.Boot != Boot() {
		return OtherBoot
	}
	here, err := pidsOf("self")
	switch {
	case err != nil:
		return Unseen
	case o.PIDs != here:
		return o.lifeWithin(here)
	}
	started, err := Started(o.PID)
	switch {
	case gone(err) || err == nil && started != o.Started:
		return Ended
	case err != nil:
		return Unseen
	}
	return Lives
}

// Longest is how long a run may last of which nothing can be seen: jobs of hosted
// runners end then.
const Longest = 6 * time.Hour

// Over reports whether the run has ended, so that what it left may be removed. Here says
// that it can only have been on this machine, also before a reboot.
func (o Owner) Over(here bool) bool {
	switch life := o.Life(); {
	case life == Ended || life == OtherBoot && here:
		return true
	case life == Lives:
		return false
	}
	return time.Since(o.Since) > Longest
}

// firstPIDs is the inode of the kernel's first pid namespace, PROC_PID_INIT_INO.
const firstPIDs = 0xEFFFFFFC

// lifeWithin looks for the process in a pid namespace that is within this one: here it
// has another number. Only the first namespace has all others within.
func (o Owner) lifeWithin(here uint64) Life {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return Unseen
	}
	none := Unseen
	if here == firstPIDs {
		none = Ended
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		pids, err := pidsOf(e.Name())
		if err != nil && !gone(err) {
			none = Unseen // it may be this one
		}
		if err != nil || pids != o.PIDs {
			continue
		}
		if started, err := Started(pid); err == nil && started == o.Started {
			return Lives
		}
	}
	return none
}

// pidsOf is the inode of the pid namespace of a process.
func pidsOf(process string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+process+"/ns/pid", &st); err != nil {
		return 0, fmt.Errorf("look at the pid namespace of process %s: %w", process, err)
	}
	return st.Ino, nil
}

// Boot changes with every start of the kernel; empty where it does not say.
func Boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Started is when a process began, in clock ticks since boot: field 22 of
// /proc/PID/stat. One that has ended but was not reaped yet counts as gone.
func Started(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("look at process %d: %q is no stat line", pid, text)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("process %d has ended: %w", pid, os.ErrNotExist)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// gone reports whether an error says that a process is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }
