package images

import (
	_ "embed"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
)

var (
	//go:embed machine/inittab
	machineInittab string
	//go:embed machine/boot
	machineBoot string
)

// MachinePath is where the emulated runner's kernel and disk stand in the image
// that QEMU runs it from.
const MachinePath = "/opt/nestlab-machine"

// machineSize is that of its disk, in MiB: what the daemons write goes there too.
const machineSize = "16384"

// Machine is the emulated runner: a whole machine with Debian's stock kernel, the
// same software as the simulated runner has, and what LXD needs for virtual
// machines. It holds neither the one binary nor the assets, which come from
// outside, so a change of those builds no disk again.
func (b Builder) machine() *dagger.Directory {
	// The initramfs is our own: making Debian's takes minutes.
	root := b.aptInstall(b.runnerPackages().WithEnvVariable("INITRD", "No"),
		// LXD's virtual machines.
		"lxd-agent", "ovmf", "gdisk", "qemu-utils",
		// The machine itself.
		"linux-image-amd64", "qemu-guest-agent", "busybox-static").
		WithNewFile("/etc/inittab", machineInittab).
		WithNewFile("/usr/local/sbin/machine-boot", machineBoot, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithExec([]string{"ln", "-sf", "/bin/busybox", "/sbin/init"})
	return b.disk(b.aptInstall(root, "cpio", "e2fsprogs"), root.Rootfs(), machineSize)
}

// EmulatedRunner is the simulated runner's image with QEMU's machine beside it.
func (b Builder) EmulatedRunner(suites ...spec.DockerSuite) *dagger.Container {
	return b.Runner(suites...).WithDirectory(MachinePath, b.machine())
}
