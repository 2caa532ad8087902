package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// dataDirectories are where daemons' data are, or are moved to when there is no
// room; hosted runners have their larger disk on /mnt.
var dataDirectories = []string{"/var/lib/docker", "/mnt", "/var/lib/nestlab", "/home", "/var/lib", "/"}

// disks reads the file systems of the data directories, Docker's first. Those
// that are not there are left out.
func disks(_ context.Context, f *model.Facts) error {
	directories := dataDirectories
	if f.Docker != nil && f.Docker.Root != "" {
		directories = append([]string{f.Docker.Root}, directories[1:]...)
	}
	var errs []error
	for _, path := range directories {
		var st unix.Stat_t
		var sys unix.Statfs_t
		err := unix.Stat(path, &st)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = unix.Statfs(path, &sys)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		size := uint64(sys.Bsize)
		f.Disks = append(f.Disks, model.Disk{
			Path: path, Overlay: sys.Type == unix.OVERLAYFS_SUPER_MAGIC,
			Inodes: sys.Files, FreeInodes: sys.Ffree,
			SizeMB: sys.Blocks * size >> 20, FreeMB: sys.Bavail * size >> 20, Device: st.Dev,
		})
	}
	return errors.Join(errs...)
}
