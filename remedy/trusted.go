package remedy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// readTrusted reads a file that says what to do as root: nobody else may have written it.
func readTrusted(path string) (text []byte, err error) {
	// Not one that is waited for, as a pipe is.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a link: name with --journal what it leads to", path)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file; give another --journal", path)
	}
	if err == nil {
		err = trusted(path, info, 0)
	}
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	around, err := os.Stat(dir)
	if err == nil {
		// In a sticky one nobody replaces what is another's.
		err = trusted(dir, around, fs.ModeSticky)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// trusted says why others may have written a file or directory, unless it has a mode
// that keeps them from that.
func trusted(path string, info fs.FileInfo, unless fs.FileMode) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("find out whose %s is", path)
	}
	const others = 0o022
	if info.Mode().Perm()&others != 0 && info.Mode()&unless == 0 {
		return fmt.Errorf("%s may be written by others (%s), who could have nestlab change this host as root: look at what it says, then chmod go-w %s", path, info.Mode(), path)
	}
	switch strconv.Itoa(int(st.Uid)) {
	case "0", strconv.Itoa(os.Geteuid()), os.Getenv("SUDO_UID"):
		return nil
	}
	return fmt.Errorf("%s belongs to user %d, who could have nestlab change this host as root: look at what it says, then chown root %s, or give another --journal", path, st.Uid, path)
}
