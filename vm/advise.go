package vm

import (
	"fmt"
	"strings"
)

// advise adds the next step to an error of LXD's about an instance.
func advise(err error, i *Instance) error {
	if step := nextStep(err.Error(), i); step != "" {
		return fmt.Errorf("%w; %s", err, step)
	}
	return err
}

// nextStep is told from LXD's own words, of LXD 5.0 to 6: its errors have no codes.
func nextStep(text string, i *Instance) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if !strings.Contains(strings.ToLower(text), p) {
				return false
			}
		}
		return true
	}
	switch {
	case has("no space left"), has("out of disk space"), has("disk quota exceeded"):
		return fmt.Sprintf("free space in the storage pool %s (lxc storage info %s) or name another with --pool", i.Pool, i.Pool)
	case has("storage pool", "not found"), has("pool", "not found"):
		return "name one of `lxc storage list` with --pool"
	case has("network", "not found"), has("parent device", "doesn't exist"), has("loading network"):
		return "name one of `lxc network list` with --network"
	case has("vhost_vsock"), has("kvm"):
		return "virtual machines need /dev/kvm and /dev/vhost-vsock here: load the modules kvm and vhost_vsock; see remedy kvm-permission"
	case has("image", "not found"), has("alias", "not found"), has("image", "doesn't exist"), has("image not provided"), has("no such object"):
		return "`lxc image list` shows what LXD has; --image-server names a simplestreams server, --image ./FILE a file"
	case has("image", "type"), has("instance type"):
		return fmt.Sprintf("the image is not for a %s", i.kind())
	case has("metadata"), has("architecture"), has("unsupported compression"), has("tar "), has("unpack"), has("squashfs"):
		return "an image is a tar file of metadata.yaml and rootfs (or rootfs.img), or such a metadata file with --rootfs"
	case has("connection refused"), has("broken pipe"), has("websocket"), has("eof"), has("does not answer"):
		return "look whether LXD still runs; once it does, `nestlab vm gc` removes what is left"
	}
	return ""
}
