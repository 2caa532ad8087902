package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

const bridgeAddress = "10.77.0.1"

// guestCommands make what LXD makes: a bridge with a masqueraded guest.
var guestCommands = [][]string{
	{"ip", "netns", "add", "guest"},
	{"ip", "link", "add", "lxdbr0", "type", "bridge"},
	{"ip", "addr", "add", bridgeAddress + "/24", "dev", "lxdbr0"},
	{"ip", "link", "set", "lxdbr0", "up"},
	{"ip", "link", "add", "tap0", "type", "veth", "peer", "name", "eth0", "netns", "guest"},
	{"ip", "link", "set", "tap0", "master", "lxdbr0", "up"},
	{"ip", "-n", "guest", "link", "set", "lo", "up"},
	{"ip", "-n", "guest", "addr", "add", "10.77.0.2/24", "dev", "eth0"},
	{"ip", "-n", "guest", "link", "set", "eth0", "up"},
	{"ip", "-n", "guest", "route", "add", "default", "via", bridgeAddress},
	{"iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "10.77.0.0/24", "!", "-d", "10.77.0.0/24", "-j", "MASQUERADE"},
	{"iptables", "-P", "FORWARD", "ACCEPT"}, // the table is there, as with dockerd
	{"sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"},
}

// runner is a world with a guest behind its runner.
type runner struct{ *world.World }

func start(t *testing.T) runner {
	t.Helper()
	apt := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(apt, "Release"), bytes.Repeat([]byte("x"), 16<<10), 0o644))
	r := runner{world.New(world.Config{State: t.TempDir(), AptRepository: apt})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Run(ctx, []string{"sleep", "600"}, world.Stdio{})
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	select {
	case <-r.Ready():
	case err := <-ended:
		ended <- context.Canceled
		require.NoError(t, err)
	}
	for _, command := range guestCommands {
		r.do(t, command...)
	}
	return r
}

// do runs a command in the runner and gives what it printed.
func (r runner) do(t *testing.T, command ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code, err := r.Exec(t.Context(), command, world.Stdio{Out: &out, Err: &errs})
	require.NoError(t, err)
	require.Zero(t, code, "%v: %s", command, errs.Bytes())
	return out.String()
}

// failures are "probe reason" of what fails, each once.
func (r runner) failures(t *testing.T, command ...string) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	var seen []string
	lines := json.NewDecoder(strings.NewReader(r.do(t, append(command, self, "suite")...)))
	for lines.More() {
		var result model.Result
		require.NoError(t, lines.Decode(&result))
		if result.Outcome.Bad() {
			seen = append(seen, result.Probe+" "+string(result.Reason))
		}
	}
	slices.Sort(seen)
	return slices.Compact(seen)
}

// look checks what fails in the runner and in its guest.
func (r runner) look(t *testing.T, inRunner, inGuest []string, when string) {
	t.Helper()
	require.Equal(t, inRunner, r.failures(t), "in the runner, %s", when)
	require.Equal(t, inGuest, r.failures(t, "ip", "netns", "exec", "guest"), "in the guest, %s", when)
}

// rules are both rule sets, without counters.
func (r runner) rules(t *testing.T) string {
	t.Helper()
	var all string
	for _, in := range []func(func() error) error{r.InRunner, r.InInternet} {
		require.NoError(t, in(func() error {
			text, err := exec.Command("nft", "--stateless", "list", "ruleset").CombinedOutput()
			all += string(text)
			return err
		}))
	}
	return all
}

// silence is what the suite makes of a network in which nothing comes back.
var silence = []string{"dns-a dns-timeout", "dns-aaaa dns-timeout", "first-address dns-timeout", "http dns-timeout", "https dns-timeout", "path-mtu dns-timeout", "tcp-connect dns-timeout"}

// deaf is what it makes of one in which names resolve, and no connection comes.
var deaf = []string{"first-address connect-timeout", "http connect-timeout", "https connect-timeout", "path-mtu connect-timeout", "tcp-connect connect-timeout"}

// broken is what a fault does to the suite: the failures in the runner and in its guest.
var broken = map[string]struct{ runner, guest []string }{
	"docker-forward-drop":    {nil, silence},
	"firewall-forward-drop":  {nil, silence},
	"ip-forward-off":         {nil, silence},
	"dns-blocked":            {nil, silence}, // every target is a name
	"upstream-blocks-guests": {nil, silence},
	"mtu-blackhole":          both("http read-timeout", "https read-timeout", "path-mtu mtu"),
	"proxy-required":         both("http proxy-required", "https refused", "path-mtu proxy-required"),
	"dns-upstream-dead":      both(silence...),
	"aaaa-only":              both("dns-a dns-nodata", "first-address unreachable", "http unreachable", "https unreachable", "path-mtu unreachable", "tcp-connect unreachable"),
	"raw-drop":               {nil, deaf},
	"answers-dropped":        {nil, deaf},
	"registry-down":          both("https server-error"),
	"registry-rate-limit":    both("https rate-limited"),
	"apt-mirror-5xx":         both("http server-error"),
	"slow-mirror":            both("http read-timeout"),
	"tls-intercepted":        both("https tls-untrusted"),
	"clock-skew":             both("https tls-expired"),
}

func both(failures ...string) struct{ runner, guest []string } {
	return struct{ runner, guest []string }{failures, failures}
}

func TestFaultsBreakAndMend(t *testing.T) {
	r := start(t)
	r.look(t, nil, nil, "before anything is broken")
	for _, f := range faults.All() {
		want, live := broken[f.Name]
		if !live {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			before := r.rules(t)
			restore, err := faults.Put(t.Context(), r, []faults.Fault{f})
			require.NoError(t, err)
			// Whatever is found: the next fault is to be the only one.
			t.Cleanup(func() { require.NoError(t, restore(context.Background())) })
			r.look(t, want.runner, want.guest, "broken")
			require.NoError(t, restore(t.Context()))
			require.Equal(t, before, r.rules(t), "no trace in the rules")
			r.look(t, nil, nil, "restored")
			require.NoError(t, restore(t.Context()), "restored twice")
			require.Equal(t, before, r.rules(t))
		})
	}
}

func TestDHCPBlocked(t *testing.T) {
	r := start(t)
	var server net.PacketConn
	require.NoError(t, r.InRunner(func() (err error) {
		server, err = net.ListenPacket("udp4", net.JoinHostPort(bridgeAddress, "67"))
		return err
	}))
	defer server.Close()
	self, err := os.Executable()
	require.NoError(t, err)
	arrives := func() error {
		r.do(t, "ip", "netns", "exec", "guest", self, "knock", net.JoinHostPort(bridgeAddress, "67"))
		require.NoError(t, server.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
		_, _, err := server.ReadFrom(make([]byte, 16))
		return err
	}
	require.NoError(t, arrives())
	before := r.rules(t)
	found, err := faults.Find([]string{"dhcp-blocked"})
	require.NoError(t, err)
	restore, err := faults.Put(t.Context(), r, found)
	require.NoError(t, err)
	require.ErrorIs(t, arrives(), os.ErrDeadlineExceeded)
	require.NoError(t, restore(t.Context()))
	require.NoError(t, arrives())
	require.Equal(t, before, r.rules(t))
}

func TestNATOffNeedsLXD(t *testing.T) {
	r := start(t)
	found, err := faults.Find([]string{"firewall-forward-drop", "nat-off"})
	require.NoError(t, err)
	before := r.rules(t)
	_, err = faults.Put(t.Context(), r, found)
	require.ErrorContains(t, err, "nat-off")
	require.ErrorContains(t, err, "does LXD run")
	require.Equal(t, before, r.rules(t), "what was broken before is restored")
}

func TestDiskFull(t *testing.T) {
	r := start(t)
	found, err := faults.Find([]string{"disk-full"})
	require.NoError(t, err)
	write := []string{"sh", "-c", "head -c 20000000 /dev/zero >/var/lib/docker/x && rm /var/lib/docker/x"}
	r.do(t, write...)
	_, err = faults.Put(t.Context(), r, found)
	require.NoError(t, err)
	code, err := r.Exec(t.Context(), write, world.Stdio{})
	require.NoError(t, err)
	require.NotZero(t, code)
}

// A program of dockerd's name that does a first thing which dockerd does.
func TestDockerdWithoutPrivilege(t *testing.T) {
	dir := t.TempDir()
	const bridge = "#!/bin/sh\nexec ip link add docker0 type bridge\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dockerd"), []byte(bridge), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	r := start(t)
	r.do(t, "dockerd")
	r.do(t, "ip", "link", "del", "docker0")
	found, err := faults.Find([]string{"dockerd-no-privilege"})
	require.NoError(t, err)
	_, err = faults.Put(t.Context(), r, found)
	require.NoError(t, err)
	var said bytes.Buffer
	code, err := r.Exec(t.Context(), []string{"dockerd"}, world.Stdio{Out: &said, Err: &said})
	require.NoError(t, err)
	require.NotZero(t, code)
	require.Regexp(t, "(?i)permission denied|not permitted", said.String())
}

func TestKVMDenied(t *testing.T) {
	r := start(t)
	if _, err := os.Stat("/dev/kvm"); err != nil { // any device will do to see that it is denied, in a /dev of the runner's own
		r.do(t, "sh", "-c", "mount -t tmpfs dev /dev && mknod /dev/null c 1 3 && mknod /dev/kvm c 1 3")
	}
	open := []string{"sh", "-c", ": </dev/kvm"}
	r.do(t, open...)
	found, err := faults.Find([]string{"kvm-denied"})
	require.NoError(t, err)
	restore, err := faults.Put(t.Context(), r, found)
	require.NoError(t, err)
	var said bytes.Buffer
	code, err := r.Exec(t.Context(), open, world.Stdio{Err: &said})
	require.NoError(t, err)
	require.NotZero(t, code)
	require.Contains(t, said.String(), "Permission denied")
	require.NoError(t, restore(t.Context()))
	r.do(t, open...)
	require.NoError(t, restore(t.Context()), "restored twice")
}
