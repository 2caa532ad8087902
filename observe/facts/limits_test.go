package facts_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func limit(t *testing.T, f model.Facts, name string) model.Limit {
	t.Helper()
	i := slices.IndexFunc(f.Limits, func(l model.Limit) bool { return l.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s of %v; %v", name, f.Limits, f.Errors)
	return f.Limits[i]
}

// TestLimits reads those of the kernel that this runs on.
func TestLimits(t *testing.T) {
	t.Parallel()
	f := facts.Collect(t.Context(), facts.Options{Place: model.Place{Environment: model.EnvRunner}})
	for _, name := range []string{
		"user.max_user_namespaces", "user.max_net_namespaces", "user.max_mnt_namespaces", "fs.inotify.max_user_watches",
		"fs.inotify.max_user_instances", "fs.mount-max", "kernel.threads-max", "kernel.pid_max",
	} {
		l := limit(t, f, name)
		require.NotZero(t, l.Max, name)
		require.False(t, l.Reached(), name)
	}
	require.NotZero(t, *limit(t, f, "fs.mount-max").Used)
	require.NotZero(t, *limit(t, f, "kernel.threads-max").Used)
	require.NotEmpty(t, f.Disks)
	require.True(t, slices.ContainsFunc(f.Disks, func(d model.Disk) bool { return d.Inodes > 0 && d.FreeInodes <= d.Inodes }))
}

// spent is set in a process whose limits are used up.
const spent = "NESTLAB_TEST_SPENT"

// TestLimitsThatAreReached has a user namespace of its own, whose limits are 0.
func TestLimitsThatAreReached(t *testing.T) {
	names := []string{"user.max_net_namespaces", "user.max_mnt_namespaces", "user.max_inotify_instances"}
	if os.Getenv(spent) != "" {
		for _, n := range names {
			require.NoError(t, os.WriteFile("/proc/sys/user/"+n[len("user."):], []byte("0"), 0))
		}
		f := facts.Collect(t.Context(), facts.Options{Place: model.Place{Environment: model.EnvRunner}})
		require.NoError(t, json.NewEncoder(os.Stderr).Encode(f.Limits))
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLimitsThatAreReached$")
	cmd.Env = append(os.Environ(), spent+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var f model.Facts
	require.NoError(t, json.NewDecoder(said).Decode(&f.Limits))
	require.NoError(t, cmd.Wait())
	for _, n := range append(names, "fs.inotify.max_user_instances") {
		require.True(t, limit(t, f, n).Reached(), n)
	}
	require.False(t, limit(t, f, "user.max_pid_namespaces").Reached())
}

// TestSourceNAT counts rules that translate sources, in reach of a chain on postrouting.
func TestSourceNAT(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	place := facts.Options{Place: model.Place{Environment: model.EnvDind}}
	count := func() int {
		f := facts.Collect(t.Context(), place)
		require.NotNil(t, f.SourceNAT, f.Errors)
		return *f.SourceNAT
	}
	require.Zero(t, count())
	conn, err := nftables.New()
	require.NoError(t, err)
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "mine"})
	base := conn.AddChain(&nftables.Chain{Name: "post", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	led := conn.AddChain(&nftables.Chain{Name: "led", Table: table})
	conn.AddRule(&nftables.Rule{Table: table, Chain: base, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: "led"}}})
	conn.AddRule(&nftables.Rule{Table: table, Chain: led, Exprs: []expr.Any{&expr.Masq{}}})
	conn.AddRule(&nftables.Rule{Table: table, Chain: conn.AddChain(&nftables.Chain{Name: "unreached", Table: table}), Exprs: []expr.Any{&expr.Masq{}}})
	require.NoError(t, conn.Flush())
	require.Equal(t, 1, count())

	for i, variant := range []string{"iptables-nft", "iptables-legacy"} {
		out, err := exec.CommandContext(t.Context(), variant, "-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "-j", "MASQUERADE").CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, 2+i, count(), variant)
	}
}
