package vm

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	qemuBinary = "qemu-system-x86_64"
	// The files of a guest, in its directory.
	agentName   = "agent.sock"
	streamName  = "output.sock"
	monitorName = "monitor.sock"
	// kernelLine is the kernel's command line: what a guest that lives for minutes
	// does not need is off, and a kernel that panics ends the machine. It does not
	// check its timer: on a busy machine an emulated one comes late, and the kernel
	// would take it for broken and panic.
	kernelLine = "console=ttyS0 root=/dev/vda1 quiet loglevel=4 panic=-1 net.ifnames=0 " +
		"mitigations=off audit=0 selinux=0 apparmor=0 random.trust_cpu=on no_timer_check"
	// emulatedClock is for guests without KVM: a processor counter whose rate was
	// measured while the guest had to wait for the host runs many times too fast.
	// The HPET's rate is known.
	emulatedClock = " clocksource=hpet tsc=unstable"
)

// Image is a guest's kernel and root disk, as images builds them.
type Image struct {
	// Kernel and Initrd are booted directly; Root is a qcow2 disk, which stays as it is.
	Kernel, Initrd, Root string
}

// DirectBoot are QEMU's options, in the form of LXD's raw.qemu, for a virtual
// machine of LXD that boots the image's own kernel: under emulation a boot loader
// takes minutes. LXD's disks are SCSI, and it gives its machines no HPET.
func DirectBoot(i Image) string {
	line := strings.Replace(kernelLine, "/dev/vda1", "/dev/sda1", 1)
	return fmt.Sprintf("-cpu host -kernel %s -initrd %s -append '%s'", i.Kernel, i.Initrd, line)
}

// options are a QEMU command line in the making.
type options struct{ args []string }

func (o *options) add(args ...string) { o.args = append(o.args, args...) }

// pair adds an option with properties, in which a comma in a value is doubled.
func (o *options) pair(option string, properties ...string) {
	o.add(option, strings.Join(properties, ","))
}

func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// machine begins the command line: memory in MiB, and nothing that was not asked for.
func machine(name string, a Acceleration, memory, cpus int) *options {
	cpu, accel := "host", a.Name
	if a.Name == TCG {
		cpu, accel = "max", "tcg,thread=multi"
	}
	return &options{args: []string{
		"-name", escape(name), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35,usb=off", "-accel", accel, "-cpu", cpu, "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
	}}
}

// channels are the ways to the machine that are not its network, besides the console:
// QEMU's monitor.
func (o *options) channels(dir string) {
	o.pair("-qmp", "unix:"+escape(filepath.Join(dir, monitorName)), "server=on", "wait=off")
}

// ports are the guest agent's, and the one for what commands print.
func (o *options) ports(dir string) {
	o.add("-device", "virtio-serial-pci")
	for _, port := range []struct{ id, file, name string }{
		{"agent", agentName, "org.qemu.guest_agent.0"}, {"output", streamName, streamPort},
	} {
		o.pair("-chardev", "socket", "id="+port.id, "path="+escape(filepath.Join(dir, port.file)), "server=on", "wait=off")
		o.add("-device", "virtserialport,chardev="+port.id+",name="+port.name)
	}
}

// disk adds a disk under a serial number. What is written to it is thrown away
// with the machine.
func (o *options) disk(serial, format, path string, more ...string) {
	properties := append([]string{"id=" + serial, "if=none", "format=" + format, "file=" + escape(path)}, more...)
	o.pair("-drive", properties...)
	o.add("-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s", serial, serial))
}

// share lets the guest mount a directory.
func (o *options) share(s Share) {
	properties := []string{"local", "id=share-" + s.Tag, "path=" + escape(s.Dir), "security_model=none"}
	if s.ReadOnly {
		properties = append(properties, "readonly=on")
	}
	o.pair("-fsdev", properties...)
	o.add("-device", fmt.Sprintf("virtio-9p-pci,fsdev=share-%s,mount_tag=%s", s.Tag, s.Tag))
}

// progress is a port whose output goes to a file descriptor that QEMU inherited.
func (o *options) progress(fd int) {
	o.pair("-chardev", "file", "id=progress", "path=/proc/self/fd/"+strconv.Itoa(fd))
	o.add("-device", "virtserialport,chardev=progress,name="+ProgressPort)
}

// nic is the guest's, on the tap that is file descriptor 3 or behind QEMU's own network.
func (q *QEMU) nic(o *options) {
	if q.Offline {
		return
	}
	if q.Bridge != "" {
		o.add("-netdev", "tap,id=net,fd=3")
	} else {
		o.add("-netdev", "user,id=net")
	}
	o.pair("-device", q.card()...)
}

// Arguments is the guest's QEMU command line without the command. The tap, where
// there is one, is file descriptor 3, what takes the progress the next one; the console
// comes behind them.
func (q *QEMU) Arguments(a Acceleration) []string {
	o := machine("nestlab-"+q.name(), a, q.Memory, q.CPUs)
	line := kernelLine
	if a.Name == TCG {
		line += emulatedClock
	}
	o.add("-kernel", q.Image.Kernel, "-initrd", q.Image.Initrd, "-append", line)
	o.disk("root", "qcow2", q.Image.Root, "snapshot=on", "cache=unsafe")
	o.disk("nestlab", "raw", q.Binary, "readonly=on")
	o.add("-device", "virtio-rng-pci")
	q.nic(o)
	for _, s := range q.Shares {
		o.share(s)
	}
	o.channels(q.Dir)
	o.ports(q.Dir)
	switch {
	case q.Progress != nil && q.Bridge != "":
		o.progress(4)
	case q.Progress != nil:
		o.progress(3)
	}
	return o.args
}

// name is the guest's own among all that run on the machine.
func (q *QEMU) name() string { return strings.NewReplacer("/", "-", "@", "-").Replace(q.At.Key()) }

// card is the network card, with no boot ROM and nothing that it was not asked for.
func (q *QEMU) card() []string {
	properties := []string{cmp.Or(q.NIC, "virtio-net-pci"), "netdev=net", "romfile=", "mac=" + mac(q.At.Key())}
	if q.NoOffloads {
		for _, offload := range []string{
			"csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo",
			"host_tso4", "host_tso6", "host_ecn", "host_ufo", "mrg_rxbuf",
		} {
			properties = append(properties, offload+"=off")
		}
	}
	return properties
}

// mac is a name's hardware address, in the range that QEMU has for its guests.
func mac(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	sum := h.Sum32()
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", byte(sum>>16), byte(sum>>8), byte(sum))
}
