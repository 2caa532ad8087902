package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/remedy/unit"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// firewallRules are an administrator's, with one that drops what the bridge sends: its
// handle is another one each time they are written.
const firewallRules = `flush ruleset
table inet nat { chain post { type nat hook postrouting priority srcnat; oifname ` + observetest.Uplink + ` masquerade; }; }
table inet site { chain forward { type filter hook forward priority 10; iifname virbr0 counter drop; }; }
`

// What the doctor makes persistent lasts over restarts of Docker and of the firewall, its
// reload, an end of the service and a reboot. Reverted it leaves what was.
func TestDoctorPersists(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	b := newBooted(t, firewallRules)
	before := b.state()
	doctor := func(args ...string) string {
		return b.in(os.Args[0], append([]string{"doctor", "--targets", b.targets, "--bridge", libvirt, "--guests", "0"}, args...)...)
	}
	said := doctor("--fix", "--persist")
	t.Log(said)
	require.Contains(t, said, "\nfixed: docker-forward-drop in bridge virbr0; revert it: ")
	require.Contains(t, said, "\npersistent: docker-user-accept ")
	require.Contains(t, said, "\npersistent: accept-before ")
	works := func(after string) {
		t.Helper()
		require.Eventually(t, func() bool {
			return strings.Count(b.in(os.Args[0], "remedy", "status"), "  in place; persistent\n") == 2
		}, time.Minute, 50*time.Millisecond, after)
		doctor("--no-intervene")
	}
	works("at first")
	for _, orders := range []string{
		"restart docker", "restart nftables docker", "stop docker", "reload nftables, restart docker", // it flushes all
		"kill --signal=KILL " + unit.Name, "restart " + unit.Name,
	} {
		for order := range strings.SplitSeq(orders, ", ") {
			b.in("systemctl", strings.Fields(order)...)
		}
		works(orders)
	}
	b.cut()
	b.write("etc/nftables.conf", strings.Replace(firewallRules, "chain forward", "chain other { }; chain forward", 1)) // another handle
	b.boot()
	works("a reboot")
	b.in("cp", "/etc/nftables.conf.first", "/etc/nftables.conf")
	out := b.in(os.Args[0], "remedy", "revert")
	require.Contains(t, out, "reverted: accept-before ")
	require.Contains(t, out, "reverted: docker-user-accept ")
	b.in("systemctl", "restart", "nftables", "docker")
	require.Empty(t, differ(before, b.state()))
	for _, path := range []string{unit.Path, unit.Binary, "/var/lib/nestlab/persistent.json", "/var/lib/nestlab/remedies.json"} {
		require.NoFileExists(t, filepath.Join(b.root, "disk", path))
	}
}

// Where nothing can be made to last, that is said before anything is changed.
func TestDoctorCannotPersist(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.run("iptables-nft", "-P", "FORWARD", "DROP")
	before := h.state()
	_, _, err := executed(t, newDoctorCommand(), "--persist")
	require.ErrorContains(t, err, "give both")
	require.Equal(t, exitUsage, exitCode(err))
	// Here there is no systemd, or one in another network.
	for _, args := range [][]string{{"doctor", "--fix", "--persist"}, {"remedy", "apply", "forward-accept", "--persist"}} {
		cmd := h.nestlab(args...)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, exitUnobserved, cmd.ProcessState.ExitCode(), "%s", out)
		require.Contains(t, string(out), unit.ErrCannot.Error())
	}
	require.Empty(t, differ(before, h.state()))
	out, err := h.nestlab("remedy", "apply", "forward-accept", "--persist", "--dry-run").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), unit.Text)
}
