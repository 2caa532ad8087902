package dind

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/spec"
)

// chooseDriver gives the storage driver for a data root: the given one, if it works there;
// else that of the images that are there already, else overlay2 where overlays can be mounted.
func chooseDriver(root string, given spec.StorageDriver) (driver spec.StorageDriver, why string, err error) {
	if err := os.MkdirAll(root, 0o710); err != nil {
		return "", "", fmt.Errorf("make the data root: %w", err)
	}
	mounts := tryOverlay(root)
	switch {
	case given == spec.Overlay2 && mounts != nil:
		return "", "", fmt.Errorf("use the storage driver %s in %s: %w; take %s, or put the data root on a volume (--data-volume)", given, root, mounts, spec.VFS)
	case given != "":
		return given, "as given", nil
	}
	for _, known := range given.Values() {
		if _, err := os.Stat(filepath.Join(root, "image", string(known))); err == nil && (known != spec.Overlay2 || mounts == nil) {
			return known, root + " has its images", nil
		}
	}
	if mounts != nil {
		return spec.VFS, fmt.Sprintf("no overlay can be mounted in %s: %v", root, mounts), nil
	}
	return spec.Overlay2, "an overlay was mounted in " + root, nil
}

// tryOverlay mounts an overlay in a directory, as the driver will.
func tryOverlay(root string) (err error) {
	dir, err := os.MkdirTemp(root, "nestlab-overlay-")
	if err != nil {
		return fmt.Errorf("make a directory to try overlays in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(path(name), 0o755); err != nil {
			return fmt.Errorf("make a directory to try overlays in: %w", err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path("lower"), path("upper"), path("work"))
	if err := unix.Mount("overlay", path("merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay: %w", err)
	}
	if err := unix.Unmount(path("merged"), 0); err != nil {
		return fmt.Errorf("unmount the overlay that was tried: %w", err)
	}
	return nil
}
