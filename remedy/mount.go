package remedy

import (
	"context"
	"fmt"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// devicesOn is a mount over a device that forbids devices, as container runtimes
// make it: nobody can open the device there, whatever its mode.
type devicesOn struct {
	Path string `json:"path"`
}

func (d *devicesOn) String() string { return "devices allowed on the mount " + d.Path }
func (d *devicesOn) lasts() bool    { return false }
func (d *devicesOn) over() string   { return d.Path }

// forbidden says whether the path is a mount point that forbids devices; known is
// false where it is none.
func forbidden(path string) (nodev, known bool, err error) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil {
		return false, false, fmt.Errorf("read the mounts: %w", err)
	}
	var st unix.Statfs_t
	if len(mounts) == 0 {
		return false, false, nil
	}
	if err := unix.Statfs(path, &st); err != nil {
		return false, false, fmt.Errorf("look at the mount %s: %w", path, err)
	}
	return st.Flags&unix.ST_NODEV != 0, true, nil
}

func (d *devicesOn) remount(flags uintptr) error {
	if err := unix.Mount("", d.Path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return fmt.Errorf("remount %s: %w", d.Path, err)
	}
	return nil
}

// flags are those that the mount has beside nodev.
func (d *devicesOn) flags() (uintptr, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Path, &st); err != nil {
		return 0, fmt.Errorf("look at the mount %s: %w", d.Path, err)
	}
	var flags uintptr
	for has, flag := range map[int64]uintptr{
		unix.ST_RDONLY: unix.MS_RDONLY, unix.ST_NOSUID: unix.MS_NOSUID, unix.ST_NOEXEC: unix.MS_NOEXEC,
		unix.ST_NOATIME: unix.MS_NOATIME, unix.ST_NODIRATIME: unix.MS_NODIRATIME, unix.ST_RELATIME: unix.MS_RELATIME,
	} {
		if st.Flags&has != 0 {
			flags |= flag
		}
	}
	return flags, nil
}

func (d *devicesOn) do(context.Context, func() error) error {
	flags, err := d.flags()
	if err != nil {
		return err
	}
	return d.remount(flags)
}

func (d *devicesOn) undo(context.Context) error {
	nodev, known, err := forbidden(d.Path)
	if err != nil || !known || nodev {
		return err
	}
	flags, err := d.flags()
	if err != nil {
		return err
	}
	return d.remount(flags | unix.MS_NODEV)
}

func (d *devicesOn) in(context.Context) (bool, error) {
	nodev, known, err := forbidden(d.Path)
	return known && !nodev, err
}
