package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// booted is a test host that a real systemd runs, with files of its own on top of the
// machine's, and the network of a test host.
type booted struct {
	*testHost
	root string // has what was written
	init int    // systemd's number outside
	cmd  *exec.Cmd
}

// bootScript makes systemd's root and becomes it: $1 is its directory, $2 the cgroup, and
// the others are directories that are there as outside.
const bootScript = `set -eu
dir=$1 cgroup=$2; shift 2
echo $$ >"$cgroup/cgroup.procs"
export dir
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh -euc '
mount --make-rprivate /
new=$dir/new
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/disk,workdir=$dir/work" "$new"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t tmpfs tmpfs "$new/run"
mount -t tmpfs tmpfs "$new/dev"
for d in null zero full random urandom tty; do : >"$new/dev/$d"; mount --bind "/dev/$d" "$new/dev/$d"; done
mount -t tmpfs tmpfs "$new/sys/fs/cgroup"
if [ -d /sys/fs/cgroup/systemd ]; then
	mkdir "$new/sys/fs/cgroup/systemd"
	mount -t cgroup -o none,name=systemd cgroup "$new/sys/fs/cgroup/systemd"
else
	umount "$new/sys/fs/cgroup"
	mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
fi
for d; do mkdir -p "$new$d"; mount --bind "$d" "$new$d"; done
mount --bind "$dir/resolv.conf" "$new$(readlink -f /etc/resolv.conf)"
exec env -i container=nestlab PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$new" /lib/systemd/systemd --unit=multi-user.target --log-target=console --show-status=0
' sh "$@"
`

// units are all that systemd has beside what is made persistent: a firewall's service that
// writes its rules when it is started or reloaded, and what dockerd does when it starts.
var units = map[string]string{
	"sysinit.target":    "[Unit]\nDefaultDependencies=no\n",
	"basic.target":      "[Unit]\nDefaultDependencies=no\n",
	"multi-user.target": "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n",
	"nftables.service":  "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f /etc/nftables.conf\nExecReload=/usr/sbin/nft -f /etc/nftables.conf\nExecStop=/usr/sbin/nft flush ruleset\n[Install]\nWantedBy=multi-user.target\n",
	"docker.service":    "[Unit]\nAfter=nftables.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -ec 'iptables-nft -N DOCKER-USER || iptables-nft -F DOCKER-USER; iptables-nft -P FORWARD DROP; iptables-nft -C FORWARD -j DOCKER-USER || iptables-nft -I FORWARD -j DOCKER-USER; iptables-nft -C FORWARD -i docker0 -j ACCEPT || iptables-nft -A FORWARD -i docker0 -j ACCEPT; iptables-nft -C FORWARD -o docker0 -j ACCEPT || iptables-nft -A FORWARD -o docker0 -j ACCEPT'\n[Install]\nWantedBy=multi-user.target\n",
}

// newBooted boots a test host with a configuration of nftables.
func newBooted(t *testing.T, rules string) *booted {
	t.Helper()
	b := &booted{testHost: newTestHost(t), root: t.TempDir()}
	h := b.testHost
	require.NoError(t, os.Mkdir(filepath.Join(b.root, "state"), 0o755))
	h.run("mount", "-t", "tmpfs", "tmpfs", filepath.Join(b.root, "state"))
	b.root = filepath.Join(b.root, "state")
	t.Cleanup(func() { h.run("umount", "--lazy", b.root) })
	for _, dir := range []string{"new", "work", "disk/etc/systemd", "disk/usr/lib/systemd/system"} {
		require.NoError(t, os.MkdirAll(filepath.Join(b.root, dir), 0o755))
	}
	// What the machine has of units is not there.
	for _, dir := range []string{"disk/etc/systemd/system", "disk/usr/lib/systemd/system/sysinit.target.wants", "disk/usr/lib/systemd/system/basic.target.wants", "disk/usr/lib/systemd/system/multi-user.target.wants", "disk/usr/lib/systemd/system-generators", "disk/var/lib/nestlab"} {
		dir = filepath.Join(b.root, dir)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, unix.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0))
	}
	for name, text := range units {
		b.write("etc/systemd/system/"+name, text)
	}
	// The program is this test's binary, which has to know that it is nestlab.
	b.write("etc/systemd/system.conf.d/nestlab.conf", "[Manager]\nDefaultEnvironment="+asNestlab+"=1\n")
	for _, name := range []string{"etc/nftables.conf", "etc/nftables.conf.first"} {
		b.write(name, rules)
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.root, "resolv.conf"), []byte("nameserver 198.51.100.2\n"), 0o644))
	b.boot()
	b.in("systemctl", "enable", "--quiet", "--now", "nftables.service", "docker.service")
	return b
}

// write writes a file of the host's, while that is down.
func (b *booted) write(path, text string) {
	b.t.Helper()
	path = filepath.Join(b.root, "disk", path)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o644))
}

// boot starts systemd, and waits until it answers.
func (b *booted) boot() {
	b.t.Helper()
	parent := "/sys/fs/cgroup"
	if _, err := os.Stat(parent + "/systemd"); err == nil {
		parent += "/systemd"
	}
	cgroup, err := os.MkdirTemp(parent, "nestlab-test-")
	require.NoError(b.t, err)
	b.cmd = exec.Command("sh", "-c", bootScript, "sh", b.root, cgroup, filepath.Dir(os.Args[0]), b.dir)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.OpenFile(filepath.Join(b.dir, "systemd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(b.t, err)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	require.NoError(b.t, b.cmd.Start())
	cmd := b.cmd
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been cut off
		_ = cmd.Wait()
		require.NoError(b.t, log.Close())
		require.Eventually(b.t, func() bool { return exec.Command("find", cgroup, "-depth", "-type", "d", "-delete").Run() == nil }, time.Minute, 50*time.Millisecond)
		if text, err := os.ReadFile(log.Name()); b.t.Failed() {
			b.t.Logf("systemd: %s %v", text, err)
		}
	})
	require.Eventually(b.t, func() bool {
		children, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/task/" + strconv.Itoa(cmd.Process.Pid) + "/children")
		if err != nil {
			return false
		}
		if b.init, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
			return false
		}
		return b.command("systemctl", "--quiet", "is-active", "multi-user.target").Run() == nil
	}, time.Minute, 50*time.Millisecond, "systemd never came up")
}

// cut ends systemd and all that it runs, as when the power goes.
func (b *booted) cut() {
	b.t.Helper()
	require.NoError(b.t, b.cmd.Process.Kill())
	require.Error(b.t, b.cmd.Wait())
	h := b.testHost
	h.run("nft", "flush", "ruleset")
}

// command is one on the booted host.
func (b *booted) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.t.Context(), "nsenter", append([]string{"--target", strconv.Itoa(b.init), "--mount", "--pid", "--root", "--wd=/", "--", name}, args...)...)
	cmd.Env = append(b.environment(), asNestlab+"=1", resolvConf+"=")
	return cmd
}

// in runs a command on the booted host, which succeeds.
func (b *booted) in(name string, args ...string) string {
	b.t.Helper()
	out, err := b.command(name, args...).CombinedOutput()
	require.NoError(b.t, err, "%s %v: %s", name, args, out)
	return string(out)
}
