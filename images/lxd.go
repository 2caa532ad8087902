package images

import "github.com/nestlab/nestlab/internal/dagger"

// lxdMetadata is what LXD wants to know of an image.
const lxdMetadata = `architecture: x86_64
creation_date: 1700000000
properties:
  description: nestlab guest, a Debian root
  os: debian
`

// lxdInterfaces makes the guest ask for an address as a stock image does.
const lxdInterfaces = `auto lo
iface lo inet loopback
auto eth0
iface eth0 inet dhcp
`

// lxdImage is an LXD container image in LXD's unified form: metadata.yaml and
// rootfs in one tar file.
func (b Builder) lxdImage() *dagger.File {
	root := b.aptInstall(b.base(), "systemd-sysv", "ifupdown", "isc-dhcp-client", "iproute2").
		WithNewFile("/etc/network/interfaces", lxdInterfaces).
		Rootfs()
	return b.base().
		WithNewFile("/image/metadata.yaml", lxdMetadata).
		WithMountedDirectory("/image/rootfs", root).
		WithExec([]string{"mkdir", "/out"}).
		WithExec(tar("lxd.tar", "-C", "/image", "metadata.yaml", "rootfs")).
		File("/out/lxd.tar")
}

// lxdVMMetadata goes with the guest's disk: LXD takes a virtual machine's image in
// two files.
func (b Builder) lxdVMMetadata() *dagger.File {
	return b.base().
		WithNewFile("/image/metadata.yaml", lxdMetadata).
		WithExec([]string{"mkdir", "/out"}).
		WithExec(tar("lxd-vm.tar", "-C", "/image", "metadata.yaml")).
		File("/out/lxd-vm.tar")
}
