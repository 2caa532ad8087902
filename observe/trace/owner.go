package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/ruleset"
)

// prefix begins the name of every table of this package.
const prefix = "nestlab_trace_"

// owner is the process that a table belongs to, as the table's name has it: a
// process id means something in its namespace only, and comes again.
type owner struct {
	namespace uint64 // inode of the PID namespace
	pid       int
	started   uint64 // in clock ticks since boot
}

// tableName names the n-th table of an owner.
func (o owner) tableName(n uint64) string {
	return fmt.Sprintf("%s%d_%d_%d_%d", prefix, o.namespace, o.pid, o.started, n)
}

// ownerOf reads the owner from a table's name.
func ownerOf(table string) (o owner, ok bool) {
	rest, ok := strings.CutPrefix(table, prefix)
	if !ok {
		return owner{}, false
	}
	var numbers [4]uint64
	parts := strings.Split(rest, "_")
	if len(parts) != len(numbers) {
		return owner{}, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 63)
		if err != nil {
			return owner{}, false
		}
		numbers[i] = n
	}
	return owner{namespace: numbers[0], pid: int(numbers[1]), started: numbers[2]}, true
}

func self() (owner, error) {
	namespace, err := pidNamespace()
	if err != nil {
		return owner{}, err
	}
	started, err := startOf(os.Getpid())
	if err != nil {
		return owner{}, fmt.Errorf("read when this process started: %w", err)
	}
	return owner{namespace, os.Getpid(), started}, nil
}

func pidNamespace() (uint64, error) {
	info, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return 0, fmt.Errorf("find this PID namespace: %w", err)
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

// startOf reads field 22 of /proc/PID/stat, after the command in parentheses.
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	i := bytes.LastIndexByte(b, ')')
	words := strings.Fields(string(b[i+1:]))
	if i < 0 || len(words) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: it has too few fields", pid)
	}
	return strconv.ParseUint(words[19], 10, 64)
}

// foreignAge is how old the process of another PID namespace has to be before its
// table is taken for a leftover: whether it lives cannot be seen from here. Tables
// that the kernel binds to their process (Linux 5.12) do not come to that.
const foreignAge = 6 * time.Hour

// dead reports whether a table's owner has ended.
func (o owner) dead() (bool, error) {
	here, err := pidNamespace()
	if err != nil {
		return false, err
	}
	if o.namespace != here {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return false, fmt.Errorf("read the time since boot: %w", err)
		}
		const ticks = time.Second / 100 // USER_HZ
		return time.Duration(now.Nano())-time.Duration(o.started)*ticks > foreignAge, nil
	}
	started, err := startOf(o.pid)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true, nil
	}
	return started != o.started, err
}

// Sweep removes the tables that killed tracers left in the network namespace of the
// calling thread, and returns their names, with their family. Since Linux 5.12 the
// kernel removes a tracer's tables with its process, and there are none.
func Sweep(ctx context.Context) (removed []string, err error) {
	tables, err := ruleset.Tables()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, t := range tables {
		if err := ctx.Err(); err != nil {
			return removed, errors.Join(append(errs, err)...)
		}
		o, ok := ownerOf(t.Name)
		if !ok || t.Owned {
			continue // what a process owns goes with it
		}
		dead, err := o.dead()
		if err != nil {
			errs = append(errs, fmt.Errorf("look for the owner of table %s %s: %w", t.Family, t.Name, err))
		}
		if !dead {
			continue
		}
		if err := removeTable(t.Family, t.Name); err != nil {
			errs = append(errs, fmt.Errorf("remove table %s %s (nft delete table %[1]s %[2]s): %w", t.Family, t.Name, err))
			continue
		}
		removed = append(removed, fmt.Sprintf("%s %s", t.Family, t.Name))
	}
	return removed, errors.Join(errs...)
}

func removeTable(family ruleset.Family, name string) (err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return (&batch{}).deleteTable(family, name).send(conn)
}
