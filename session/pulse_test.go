package session_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// heard notes when something was said last, and the longest silence. It has no lock:
// the session's is to keep its lanes apart.
type heard struct {
	bytes.Buffer
	last    time.Time
	longest time.Duration
}

func (h *heard) Write(p []byte) (int, error) {
	h.longest = max(h.longest, time.Since(h.last))
	h.last = time.Now()
	return h.Buffer.Write(p)
}

// However long a place takes to start and to be probed, the session never says nothing
// for more than a minute, and says what it waits for. Once it has ended it is silent.
func TestSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &place{
			name: "lxd-vm",
			start: func(context.Context, session.Took) error {
				time.Sleep(80 * time.Minute)
				return nil
			},
			exec: func(context.Context, session.Command) (int, error) {
				time.Sleep(30 * time.Minute)
				return 0, nil
			},
		}
		quick := &place{name: "qemu-user", exec: prints(0), start: func(context.Context, session.Took) error {
			time.Sleep(150 * time.Second)
			return nil
		}}
		said := &heard{last: time.Now()}
		s := &session.Session{
			Lanes: [][]session.Environment{{slow}, {quick}}, ProbeTimeout: time.Hour, StartTimeout: 2 * time.Hour,
			Append: (&journal{}).append, Progress: said,
			Host: session.Host{Sweep: func(context.Context) ([]string, error) {
				time.Sleep(90 * time.Second)
				return nil, nil
			}},
		}
		_, err := s.Run(t.Context(), model.Plan{Command: "test"}, "dev")
		require.NoError(t, err)
		_, err = io.WriteString(said, "end\n")
		require.NoError(t, err)
		require.LessOrEqual(t, said.longest, time.Minute)
		text := said.String()
		for line, times := range map[string]int{
			"still removing what an earlier run left": 1, "still starting lxd-vm, for ": 80, "still starting qemu-user, for ": 2,
			"still probing lxd-vm (baseline), for ": 30, "still stopping": 0,
		} {
			require.InDelta(t, times, strings.Count(text, line), 1, "%s\n%s", line, text)
		}
		require.Contains(t, text, "[ 180.0s] still starting lxd-vm, for 1m30s so far\n")
		length := len(text)
		time.Sleep(time.Hour)
		require.Equal(t, length, said.Len())
	})
}

// alone notes whether anything was said while something else was being said.
type alone struct {
	saying, overlapped atomic.Bool
}

func (a *alone) Write(p []byte) (int, error) {
	if !a.saying.CompareAndSwap(false, true) {
		a.overlapped.Store(true)
	}
	time.Sleep(time.Millisecond)
	a.saying.Store(false)
	return len(p), nil
}

// Lanes say things one after the other: whoever takes them needs no lock.
func TestLanesTakeTurnsToSpeak(t *testing.T) {
	t.Parallel()
	s := &session.Session{ProbeTimeout: time.Second, Append: (&journal{}).append}
	for range 8 {
		s.Lanes = append(s.Lanes, []session.Environment{&place{name: "lxd-container", exec: prints(0)}})
	}
	said := &alone{}
	s.Progress = said
	_, err := s.Run(t.Context(), model.Plan{Command: "test"}, "dev")
	require.NoError(t, err)
	require.False(t, said.overlapped.Load())
}
