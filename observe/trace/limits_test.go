package trace_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// asTracer has this program trace and wait to be killed.
const asTracer = "NESTLAB_TEST_TRACER"

func TestMain(m *testing.M) {
	if how := os.Getenv(asTracer); how != "" {
		o := trace.Options{}
		if how == "without owner" {
			o = o.WithoutOwner()
		}
		if _, err := trace.Start(context.Background(), []observe.Flow{tcp(guestIP, upstreamIP, 80)}, o); err != nil {
			panic(err)
		}
		if _, err := os.Stdout.WriteString("tracing\n"); err != nil {
			panic(err)
		}
		select {}
	}
	os.Exit(m.Run())
}

// killed starts a tracer in another process and kills it.
func killed(t *testing.T, how string, while func(pid int)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asTracer+"="+how)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 8)
	_, err = out.Read(line)
	require.NoError(t, err)
	while(cmd.Process.Pid)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

func ownTables(t *testing.T) []string {
	t.Helper()
	all, err := ruleset.Tables()
	require.NoError(t, err)
	var out []string
	for _, table := range all {
		if strings.HasPrefix(table.Name, "nestlab_trace_") {
			out = append(out, string(table.Family)+" "+table.Name)
		}
	}
	return out
}

func TestKilledTracersTablesGoWithItOrByTheNextSweep(t *testing.T) {
	if !isolated(t) {
		return
	}
	killed(t, "owner", func(int) {
		require.Len(t, ownTables(t), 3, "inet, bridge and arp")
		removed, err := trace.Sweep(t.Context())
		require.NoError(t, err)
		require.Empty(t, removed, "its owner lives")
	})
	require.Eventually(t, func() bool { return len(ownTables(t)) == 0 }, 5*time.Second, time.Millisecond, "the kernel removes them")

	var left []string
	killed(t, "without owner", func(pid int) {
		left = ownTables(t)
		require.Len(t, left, 3)
		for _, name := range left {
			_, table, _ := strings.Cut(name, " ")
			owner, ok := trace.OwnerOf(table)
			require.True(t, ok)
			require.Equal(t, pid, owner)
		}
		removed, err := trace.Sweep(t.Context())
		require.NoError(t, err)
		require.Empty(t, removed, "its owner lives")
	})
	require.Equal(t, left, ownTables(t))
	nft(t, "table inet nestlab_trace_mine { }")
	removed, err := trace.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, left, removed)
	require.Equal(t, []string{"inet nestlab_trace_mine"}, ownTables(t), "not a name of ours")
}

func TestTraceEndsWithItsContext(t *testing.T) {
	if !isolated(t) {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	tracer, err := trace.Start(ctx, []observe.Flow{tcp(guestIP, upstreamIP, 80)}, trace.Options{})
	require.NoError(t, err)
	require.Len(t, ownTables(t), 3)
	cancel()
	require.Eventually(t, func() bool { return len(ownTables(t)) == 0 }, 5*time.Second, time.Millisecond)
	require.NoError(t, tracer.Close())
	_, err = tracer.Result(t.Context())
	require.NoError(t, err, "what was seen stays")
}

func TestTraceRemovesWhatOthersLeftOfItsTables(t *testing.T) {
	if !isolated(t) {
		return
	}
	tracer, err := trace.Start(t.Context(), []observe.Flow{tcp(guestIP, upstreamIP, 80)}, trace.Options{}.WithoutOwner())
	require.NoError(t, err)
	name := ownTables(t)[1]
	nft(t, "delete table "+name)
	require.Len(t, ownTables(t), 2)
	require.NoError(t, tracer.Close())
	require.Empty(t, ownTables(t))
}

func TestTraceIsUnavailableWithoutCapability(t *testing.T) {
	if !isolated(t) {
		return
	}
	// Capabilities are a thread's; this one ends with the test's goroutine.
	runtime.LockOSThread()
	require.NoError(t, capset(unix.CAP_NET_ADMIN))
	_, err := trace.Start(t.Context(), []observe.Flow{tcp(guestIP, upstreamIP, 80)}, trace.Options{})
	var u *observe.Unavailable
	require.ErrorAs(t, err, &u)
	require.Equal(t, trace.Source, u.Source)
	require.Contains(t, u.Why, "CAP_NET_ADMIN")
	_, err = trace.Sweep(t.Context())
	require.ErrorAs(t, err, &u)
}

func TestTraceSaysThatLegacyRulesAreNotSeen(t *testing.T) {
	if !isolated(t) {
		return
	}
	l := newLab(t, false)
	run(t, "", "iptables-legacy", "-P", "FORWARD", "DROP")
	r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.Error(t, l.guest.dial(t, upstreamIP, 80, 200*time.Millisecond)) })
	f := fate(t, r, false)
	require.Equal(t, trace.Unfinished, f.Outcome)
	require.Equal(t, ruleset.Prerouting, f.Last.Hook)
	require.Len(t, r.Missing, 1)
	require.Equal(t, ruleset.LegacySource, r.Missing[0].Source)
	require.Contains(t, r.Missing[0].Why, "ip filter")
}

// flood sends datagrams to a port of the loopback that nobody listens on.
func flood(t *testing.T, n int) {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:9")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	for range n {
		if _, err := conn.Write([]byte("x")); !errors.Is(err, unix.ECONNREFUSED) {
			require.NoError(t, err)
		}
	}
}

func loopback() []observe.Flow {
	f := tcp("127.0.0.1", "127.0.0.1", 9)
	f.Protocol = observe.UDP
	return []observe.Flow{f}
}

func TestTraceIsBounded(t *testing.T) {
	if !isolated(t) {
		return
	}
	t.Run("rate", func(t *testing.T) {
		tracer, err := trace.Start(t.Context(), loopback(), trace.Options{Rate: 5})
		require.NoError(t, err)
		flood(t, 200)
		r, err := tracer.Result(t.Context())
		require.NoError(t, err)
		require.NoError(t, tracer.Close())
		require.NotEmpty(t, r.Paths)
		require.LessOrEqual(t, len(r.Paths), 30, "5 on output and 5 on input, and what a slow machine's second adds")
	})
	t.Run("paths and steps", func(t *testing.T) {
		nft(t, "table ip s { chain o { type filter hook output priority 0; accept; }; chain p { type filter hook output priority 1; udp dport 9 counter; counter; udp dport 9 drop; }; }")
		tracer, err := trace.Start(t.Context(), loopback(), trace.Options{Paths: 7, Steps: 2})
		require.NoError(t, err)
		conn, err := net.Dial("udp", "127.0.0.1:9")
		require.NoError(t, err)
		for range 20 {
			_, err := conn.Write([]byte("x"))
			require.True(t, err == nil || errors.Is(err, unix.EPERM), "a drop on output tells the sender: %v", err)
		}
		require.NoError(t, conn.Close())
		r, err := tracer.Result(t.Context())
		require.NoError(t, err)
		require.NoError(t, tracer.Close())
		require.Len(t, r.Paths, 7)
		require.EqualValues(t, 13, r.Omitted)
		require.Len(t, r.Paths[0].Steps, 2)
		require.Equal(t, 2, r.Paths[0].Omitted)
		require.Equal(t, "udp dport 9 drop", r.Fates[0].By.RuleText)
		require.Equal(t, 7, r.Fates[0].Packets)
	})
}

func TestTraceSaysWhatItLost(t *testing.T) {
	if !isolated(t) {
		return
	}
	tracer, err := trace.Start(t.Context(), loopback(), trace.Options{Rate: 100000, Buffer: 4096})
	require.NoError(t, err)
	release := tracer.Hold()
	flood(t, 100)
	release()
	r, err := tracer.Result(t.Context())
	require.NoError(t, err)
	require.NoError(t, tracer.Close())
	require.NotZero(t, r.Lost)
	require.Equal(t, trace.Source, r.Missing[0].Source)
	require.Contains(t, r.Missing[0].Why, "messages lost")
	for _, p := range r.Paths {
		require.NotEqual(t, trace.Unfinished, p.Outcome, "it may have gone on")
	}
}

func TestTraceRefusesFlowsOfEverything(t *testing.T) {
	for _, flows := range [][]observe.Flow{nil, {{Protocol: observe.TCP}}, make([]observe.Flow, 65)} {
		_, err := trace.Start(t.Context(), flows, trace.Options{})
		require.Error(t, err)
	}
}
