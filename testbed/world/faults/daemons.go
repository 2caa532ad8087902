package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/world"
)

// daemons are the faults of the runner's daemons.
func daemons() []Fault {
	docker := append([]string{model.EnvRunner}, containers()...)
	return []Fault{
		{
			Name: "dockerd-storage-driver", About: "dockerd stores images with vfs, which copies whole file systems",
			Affects: docker, Settings: &Settings{Docker: map[string]any{"storage-driver": "vfs"}},
		},
		{
			Name: "dockerd-iptables-backend", About: "dockerd writes no iptables rules: its containers are not masqueraded",
			Affects: containers(), Settings: &Settings{Docker: map[string]any{"iptables": false}},
		},
		{
			Name: "subnet-overlap", About: "LXD's bridge has the network of the internet's servers",
			Affects: instances(), Settings: &Settings{Subnet: "198.51.100.254/24"},
		},
		{
			Name: "disk-full", About: "the file system of Docker's data has room for 16 MB",
			Affects: docker, BeforeDaemons: true, Break: breakDisk,
		},
		{
			Name: "dockerd-no-privilege", About: "dockerd is started without CAP_NET_ADMIN",
			Affects: docker, BeforeDaemons: true, Break: breakPrivilege,
		},
		{
			Name: "kvm-denied", About: "/dev/kvm is on a mount without devices: nobody may open it",
			Affects: []string{model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser}, Break: breakKVM,
		},
		{
			Name: "agent-not-ready", About: "virtual machines have no channel by the name that the agent in them opens",
			Affects: []string{model.EnvQEMUBridge, model.EnvQEMUUser}, Break: breakAgent,
		},
	}
}

// breakDisk lays a small file system over dockerd's. It cannot go while dockerd
// runs, and goes with the runner.
func breakDisk(ctx context.Context, lab Lab) (Restore, error) {
	err := run(ctx, lab, "mount", "-t", "tmpfs", "-o", "size=16m", "data", "/var/lib/docker")
	if err != nil {
		return nil, fmt.Errorf("lay a small file system over /var/lib/docker: %w", err)
	}
	return withRunner, nil
}

// bounded starts dockerd without the right to change the network, as a daemon in
// an unprivileged container is. It is laid over dockerd in the runner's own mounts.
const bounded = `set -e
dockerd=$(command -v dockerd)
cp "$dockerd" /run/dockerd
printf '#!/bin/sh\nexec setpriv --bounding-set=-net_admin --inh-caps=-net_admin /run/dockerd "$@"\n' >/run/dockerd.sh
chmod 755 /run/dockerd.sh
mount --bind /run/dockerd.sh "$dockerd"`

func breakPrivilege(ctx context.Context, lab Lab) (Restore, error) {
	if err := run(ctx, lab, "sh", "-c", bounded); err != nil {
		return nil, fmt.Errorf("take CAP_NET_ADMIN from dockerd: %w", err)
	}
	return withRunner, nil
}

// withRunner restores what goes with the runner.
func withRunner(context.Context) error { return nil }

const kvmDevice = "/dev/kvm"

// breakKVM denies even root, whom a file's mode would not stop.
func breakKVM(ctx context.Context, lab Lab) (Restore, error) {
	if code, err := lab.Exec(ctx, []string{"test", "-c", kvmDevice}, world.Stdio{}); err != nil || code != 0 {
		return nil, errors.Join(err, fmt.Errorf("deny %s: %w: this machine has none", kvmDevice, ErrNotHere))
	}
	if err := run(ctx, lab, "mount", "--bind", kvmDevice, kvmDevice); err != nil {
		return nil, fmt.Errorf("deny %s: %w", kvmDevice, err)
	}
	restore := func(ctx context.Context) error {
		code, err := lab.Exec(ctx, []string{"mountpoint", "-q", kvmDevice}, world.Stdio{})
		if err != nil || code != 0 { // an error, or restored before
			return err
		}
		return run(ctx, lab, "umount", kvmDevice)
	}
	if err := run(ctx, lab, "mount", "-o", "remount,bind,nodev", kvmDevice); err != nil {
		return nil, errors.Join(fmt.Errorf("deny %s: %w", kvmDevice, err), restore(ctx))
	}
	return restore, nil
}

// renamed starts QEMU with the agent's channel under another name. It is laid over
// QEMU in the runner's own mounts.
const renamed = `set -e
qemu=$(command -v qemu-system-x86_64)
# QEMU finds its files by where it is itself.
mkdir -p /run/qemu/bin
ln -s /usr/share /run/qemu/share
ln -s /usr/lib /run/qemu/lib
cp "$qemu" /run/qemu/bin/
cat >/run/qemu.sh <<'END'
#!/bin/sh
for argument do
	shift
	case $argument in
	*org.qemu.guest_agent.0*) argument=$(printf %s "$argument" | sed 's/org[.]qemu[.]guest_agent[.]0/org.example.channel/') ;;
	esac
	set -- "$@" "$argument"
done
exec /run/qemu/bin/qemu-system-x86_64 "$@"
END
chmod 755 /run/qemu.sh
mount --bind /run/qemu.sh "$qemu"`

const renamedBack = `qemu=$(command -v qemu-system-x86_64)
if mountpoint -q "$qemu"; then umount "$qemu"; fi
rm -rf /run/qemu /run/qemu.sh`

func breakAgent(ctx context.Context, lab Lab) (Restore, error) {
	restore := func(ctx context.Context) error { return run(ctx, lab, "sh", "-c", renamedBack) }
	if err := run(ctx, lab, "sh", "-c", renamed); err != nil {
		return nil, errors.Join(fmt.Errorf("rename the agent's channel: %w", err), restore(ctx))
	}
	return restore, nil
}

// run runs a command in the runner, which must end well.
func run(ctx context.Context, lab Lab, command ...string) error {
	var said bytes.Buffer
	code, err := lab.Exec(ctx, command, world.Stdio{Out: &said, Err: &said})
	if err == nil && code != 0 {
		err = fmt.Errorf("%s ended with %d: %s", command[0], code, bytes.TrimSpace(said.Bytes()))
	}
	return err
}
