package facts

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// recorded is a table as "iptables -v -S" printed it.
type recorded []string

func record(t *testing.T, file string) recorded {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (r recorded) ListChains(string) ([]string, error) {
	var out []string
	for _, line := range r {
		if words := strings.Fields(line); words[0] != "-A" {
			out = append(out, words[1])
		}
	}
	return out, nil
}

func (r recorded) ListWithCounters(_, chain string) ([]string, error) {
	var out []string
	for _, line := range r {
		if strings.Fields(line)[1] == chain {
			out = append(out, line)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("no chain %s", chain)
	}
	return out, nil
}

func TestWalk(t *testing.T) {
	t.Parallel()
	for file, wants := range map[string]model.ForwardChain{
		// Debian 12's docker.io, started with ip_forward 0; recorded with iptables-nft 1.8.9.
		"docker-20.10.txt": {
			Policy: "DROP", DockerUser: true,
			Drops: []model.DropRule{{Chain: "DOCKER-ISOLATION-STAGE-2", Rule: "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"}},
		},
		// The chains of Docker 28, put together from its documentation, with traffic.
		"docker-28.txt": {
			Policy: "DROP", Packets: 41, Bytes: 3584, DockerUser: true,
			Drops: []model.DropRule{
				{
					Chain: "DOCKER-USER", Packets: 2, Bytes: 120,
					Rule: `-A DOCKER-USER -i lxdbr0 -m comment --comment "not -j DROP, \"kept\"" -j REJECT --reject-with icmp-port-unreachable`,
				},
				{Chain: "DOCKER-ISOLATION-STAGE-2", Rule: "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"},
				{Chain: "DOCKER", Rule: "-A DOCKER ! -i docker0 -o docker0 -j DROP", Packets: 3, Bytes: 180},
			},
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			wants.Table, wants.Chain = "filter", "FORWARD"
			got := model.ForwardChain{Table: "filter", Chain: "FORWARD"}
			require.NoError(t, walk(t.Context(), record(t, file), &got))
			require.ElementsMatch(t, wants.Drops, got.Drops)
			wants.Drops, got.Drops = nil, nil
			require.Equal(t, wants, got)
		})
	}
}

func TestWalkOfALoopEnds(t *testing.T) {
	t.Parallel()
	got := model.ForwardChain{Table: "filter", Chain: "FORWARD"}
	require.NoError(t, walk(t.Context(), recorded{"-P FORWARD ACCEPT", "-N A", "-A FORWARD -j A", "-A A -j A", "-A A -j NFQUEUE"}, &got))
	require.Equal(t, "ACCEPT", got.Policy)
	require.False(t, got.DockerUser)
}

// A part that panics or hangs costs no other part.
func TestCollectorGuardsEveryPart(t *testing.T) {
	t.Parallel()
	c := &collector{}
	c.do(t.Context(), "one", readDeadline, func(_ context.Context, f *model.Facts) error { f.Hostname = "here"; return nil })
	c.do(t.Context(), "two", readDeadline, func(context.Context, *model.Facts) error { panic("oh") })
	release := make(chan struct{})
	defer close(release)
	c.do(t.Context(), "three", 20e6, func(_ context.Context, f *model.Facts) error { <-release; f.Hostname = "late"; return nil })
	c.do(t.Context(), "four", readDeadline, func(_ context.Context, f *model.Facts) error { f.Errors = []string{"found"}; return os.ErrInvalid })
	require.Equal(t, "here", c.facts.Hostname)
	require.Len(t, c.facts.Errors, 4)
	for i, part := range []string{"read two: it panicked: oh", "read three: gave up after 20ms", "found", "read four: invalid"} {
		require.Contains(t, c.facts.Errors[i], part)
	}
}
