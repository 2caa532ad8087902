package facts_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// rules makes a table with a chain on the forward hook and a rule in a chain
// that the first leads to.
func rules(t *testing.T, family nftables.TableFamily, table, chain string, policy nftables.ChainPolicy, lead func(*nftables.Conn, *nftables.Table) []expr.Any) {
	t.Helper()
	conn, err := nftables.New()
	require.NoError(t, err)
	owner := conn.AddTable(&nftables.Table{Family: family, Name: table})
	base := conn.AddChain(&nftables.Chain{
		Name: chain, Table: owner, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
	user := conn.AddChain(&nftables.Chain{Name: "DOCKER-USER", Table: owner})
	conn.AddChain(&nftables.Chain{Name: "unreached", Table: owner})
	conn.AddRule(&nftables.Rule{Table: owner, Chain: base, Exprs: lead(conn, owner)})
	conn.AddRule(&nftables.Rule{Table: owner, Chain: user, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte("lxdbr0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
		&expr.Counter{Packets: 7, Bytes: 700}, nettest.Drop(),
	}})
	conn.AddRule(&nftables.Rule{Table: owner, Chain: &nftables.Chain{Name: "unreached", Table: owner}, Exprs: []expr.Any{nettest.Drop()}})
	require.NoError(t, conn.Flush())
}

func jump(*nftables.Conn, *nftables.Table) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: "DOCKER-USER"}}
}

// byMap leads on through a verdict map, as Docker's nftables backend does.
func byMap(conn *nftables.Conn, table *nftables.Table) []expr.Any {
	set := &nftables.Set{Table: table, Name: "forward-in-jumps", IsMap: true, KeyType: nftables.TypeIFName, DataType: nftables.TypeVerdict}
	key := make([]byte, 16)
	copy(key, "lxdbr0")
	if err := conn.AddSet(set, []nftables.SetElement{{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: "DOCKER-USER"}}}); err != nil {
		panic(err)
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Lookup{SourceRegister: 1, DestRegister: 0, IsDestRegSet: true, SetName: set.Name, SetID: set.ID},
	}
}

func TestForwardChains(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	chains, problems := facts.ForwardChains(t.Context())
	require.Empty(t, problems)
	require.Empty(t, chains, "a new namespace has no chains, and looking makes none")

	rules(t, nftables.TableFamilyIPv4, "filter", "FORWARD", nftables.ChainPolicyDrop, jump)
	rules(t, nftables.TableFamilyINet, "lxd", "fwd.lxdbr0", nftables.ChainPolicyAccept, jump)
	rules(t, nftables.TableFamilyIPv6, "docker-bridges", "filter-FORWARD", nftables.ChainPolicyAccept, byMap)
	rules(t, nftables.TableFamilyBridge, "frames", "fwd", nftables.ChainPolicyDrop, jump)
	begin := time.Now()
	chains, problems = facts.ForwardChains(t.Context())
	t.Logf("read in %s", time.Since(begin))
	require.Empty(t, problems)
	// Shown by iptables-nft where that is installed, and never twice.
	backend, rule := "nftables", `iifname "lxdbr0" counter drop`
	if _, err := exec.LookPath("iptables-nft"); err == nil {
		backend = "iptables-nft"
	}
	require.Len(t, chains, 4)
	for _, c := range chains {
		require.Len(t, c.Drops, 1, "%+v", c)
		require.True(t, c.DockerUser)
		drop := c.Drops[0]
		require.Equal(t, []any{"DOCKER-USER", uint64(7), uint64(700)}, []any{drop.Chain, drop.Packets, drop.Bytes})
		if c.Backend == "nftables" {
			require.Equal(t, rule, drop.Rule)
		} else {
			require.Equal(t, "-A DOCKER-USER -i lxdbr0 -j DROP", drop.Rule)
		}
	}
	policies := map[string]string{}
	for _, c := range chains {
		policies[strings.Join([]string{c.Backend, c.Family, c.Table, c.Chain}, " ")] = c.Policy
	}
	require.Equal(t, map[string]string{
		backend + " ip filter FORWARD":               "DROP",
		"nftables inet lxd fwd.lxdbr0":               "ACCEPT",
		"nftables ip6 docker-bridges filter-FORWARD": "ACCEPT",
		"nftables bridge frames fwd":                 "DROP",
	}, policies)
}

func TestCollect(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nettest.Wire(t)
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))
	place := model.Place{Environment: model.EnvDind, Setup: "distro/runtime"}
	f := facts.Collect(t.Context(), facts.Options{Place: place, Platform: "simulated", DockerHost: "unix:///does/not/exist"})
	require.Empty(t, f.Errors)
	require.Equal(t, place, f.Place)
	require.Equal(t, "simulated", f.Platform)
	require.True(t, strings.HasPrefix(f.Kernel, "Linux "))
	require.NotEmpty(t, f.OS.ID)
	require.True(t, *f.IPForward)
	require.Nil(t, f.Docker)
	require.Contains(t, f.Capabilities.Effective, "CAP_NET_ADMIN")
	require.Contains(t, []string{"v1", "v2", "hybrid"}, f.Cgroup)
	links := map[string]model.Interface{}
	for _, i := range f.Interfaces {
		links[i.Name] = i
	}
	near := links[nettest.Near]
	require.Equal(t, "veth", near.Type)
	require.True(t, near.Up)
	require.Equal(t, 1500, near.MTU)
	require.Contains(t, near.Addresses, nettest.NearIP+"/24")
	require.Contains(t, f.Routes, model.Route{Destination: "192.0.2.0/24", Device: nettest.Near, Source: nettest.NearIP})
}

// daemon answers /info and /version as recorded.
func daemon(t *testing.T, info any, alive bool) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nl")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	l, err := net.Listen("unix", filepath.Join(dir, "d.sock"))
	require.NoError(t, err)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body any = map[string]string{"Version": "28.1.0", "ApiVersion": "1.49"}
		switch {
		case !alive:
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/_ping"):
			w.Header().Set("Api-Version", "1.41")
			return
		case strings.HasSuffix(r.URL.Path, "/info"):
			body = info
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return "unix://" + l.Addr().String()
}

func TestDocker(t *testing.T) {
	t.Parallel()
	old := map[string]any{"ServerVersion": "20.10.24+dfsg1", "Driver": "overlay2", "CgroupVersion": "1"}
	recent := map[string]any{"ServerVersion": "29.4.0", "Driver": "overlayfs", "CgroupVersion": "2", "FirewallBackend": map[string]any{"Driver": "nftables"}}
	for title, c := range map[string]struct {
		host  string
		wants model.DockerFacts
	}{
		"old":    {daemon(t, old, true), model.DockerFacts{Version: "20.10.24+dfsg1", API: "1.49", StorageDriver: "overlay2", Firewall: "iptables", CgroupVersion: "1"}},
		"recent": {daemon(t, recent, true), model.DockerFacts{Version: "29.4.0", API: "1.49", StorageDriver: "overlayfs", Firewall: "nftables", CgroupVersion: "2"}},
		"sick":   {daemon(t, nil, false), model.DockerFacts{Error: "ask the Docker daemon at"}},
		"odd":    {"pigeon", model.DockerFacts{Error: "make a Docker client; check DOCKER_HOST"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			f := facts.Collect(t.Context(), facts.Options{DockerHost: c.host})
			require.NotNil(t, f.Docker)
			require.Contains(t, f.Docker.Error, c.wants.Error)
			c.wants.Error = f.Docker.Error
			require.Equal(t, c.wants, *f.Docker)
		})
	}
}

func TestDetectPlatform(t *testing.T) {
	t.Setenv("RUNNER_ENVIRONMENT", "github-hosted")
	require.Equal(t, "github-hosted", facts.DetectPlatform())
	require.Equal(t, "github-hosted", facts.Collect(t.Context(), facts.Options{Platform: "auto"}).Platform)
	require.Equal(t, "simulated", facts.Collect(t.Context(), facts.Options{Platform: "simulated"}).Platform)
}
