package images

import (
	_ "embed"

	"github.com/nestlab/nestlab/internal/dagger"
)

// The guest's own texts: its init in the initramfs, what busybox's init starts
// on the root disk, the scripts there that boot it and start its agent, and the build of both files.
var (
	//go:embed guest/initramfs-init
	guestInitramfsInit string
	//go:embed guest/inittab
	guestInittab string
	//go:embed guest/boot
	guestBoot string
	//go:embed guest/agent
	guestAgent string
	//go:embed guest/build
	guestBuild string
)

// The kernels of guests: a small one for virtual hardware alone, and Debian's stock
// one, which has drivers for real network cards too.
const (
	cloudKernel = "linux-image-cloud-amd64"
	stockKernel = "linux-image-amd64"
)

// StockGuest is the directory in Guest's that has the guest with a stock kernel.
// `nestlab vm run` looks for it there.
const StockGuest = "stock"

// Guest are the files of QEMU's guest, for a machine that is not the simulated
// runner: it trusts the live internet's authorities. Stock asks for those with a
// stock kernel beside them.
func (b Builder) Guest(stock bool) *dagger.Directory {
	files := b.guest(cloudKernel, "ca-certificates")
	if stock {
		files = files.WithDirectory(StockGuest, b.guest(stockKernel, "ca-certificates"))
	}
	return files
}

// guest is a small virtual machine, a Debian kernel and a Debian root that boot
// in seconds: vmlinuz, initrd and root.img (qcow2, a GPT with one ext4). It is
// QEMU's own guest and LXD's virtual machine alike. Its command channel is QEMU's
// guest agent or LXD's, on virtio ports, so it needs no network, and it asks for
// its address with a real DHCP client, busybox's udhcpc. More are further packages on
// its disk.
func (b Builder) guest(linux string, more ...string) *dagger.Directory {
	kernel := b.aptInstall(b.base(), linux, "kmod", "busybox-static", "cpio", "e2fsprogs", "qemu-utils", "gdisk")
	root := b.aptInstall(b.base(), append([]string{"qemu-guest-agent", "udhcpc", "busybox-static", "iproute2", "kmod"}, more...)...).
		WithNewFile("/etc/inittab", guestInittab).
		WithNewFile("/usr/local/sbin/guest-boot", guestBoot, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithNewFile("/usr/local/sbin/guest-agent", guestAgent, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithExec([]string{"ln", "-sf", "/bin/busybox", "/sbin/init"}).
		Rootfs()
	return b.disk(kernel, root, "1500")
}

// disk builds the files of a virtual machine: the kernel that a container has
// installed, an initramfs, and a root of that many MiB.
func (b Builder) disk(kernel *dagger.Container, root *dagger.Directory, size string) *dagger.Directory {
	return kernel.
		WithNewFile("/build/init", guestInitramfsInit, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithNewFile("/build/build", guestBuild, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		// Mounted, it is a copy of its own: the kernel's modules are added to it.
		WithMountedDirectory("/build/root", root).
		WithExec([]string{"/build/build", size}).
		Directory("/build/out")
}
