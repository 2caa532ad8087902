package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// slowLXD answers each exec with the next of its errors; without one it echoes.
// What a test does not expect to be called is nil, and panics.
type slowLXD struct {
	Server
	errs  []error
	first string // printed before the first error
	asked int
	state api.StatusCode // of the instance i
	gone  error          // LXD is
}

func (s *slowLXD) GetInstances(api.InstanceType) ([]api.Instance, error) {
	if s.state == 0 {
		return nil, s.gone
	}
	return []api.Instance{{Name: "i", StatusCode: s.state, Status: s.state.String()}}, s.gone
}

func (s *slowLXD) GetInstanceLogfile(string, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("its last words")), nil
}

type ended struct {
	lxd.Operation
	err error
}

func (e ended) WaitContext(context.Context) error { return e.err }

func (e ended) Get() api.Operation { return api.Operation{Metadata: map[string]any{"return": 3.0}} }

func (s *slowLXD) ExecInstance(_ string, _ api.InstanceExecPost, args *lxd.InstanceExecArgs) (lxd.Operation, error) {
	s.asked++
	close(args.DataDone)
	if s.asked <= len(s.errs) {
		if _, err := io.WriteString(args.Stdout, s.first); err != nil {
			return nil, err
		}
		return ended{err: s.errs[s.asked-1]}, nil
	}
	_, err := io.Copy(args.Stdout, args.Stdin)
	return ended{}, err
}

// The first is as LXD 5.0.2 said it of a virtual machine under emulation; the
// second is in its agent's source.
var (
	errHandshake = errors.New("read vsock vm(4294967295):419659789->vm(5):8443: i/o timeout")
	errAwaited   = errors.New("exec: Timed out waiting for websockets to connect")
)

// What the agent was too slow to begin is given again, with all of its input.
func TestExecGivenAgain(t *testing.T) {
	t.Parallel()
	s := &slowLXD{errs: []error{errHandshake, errAwaited}}
	var out bytes.Buffer
	code, err := (&Instance{Name: "i", server: s}).Exec(t.Context(), session.Command{Stdin: strings.NewReader("targets"), Stdout: &out})
	require.NoError(t, err)
	require.Equal(t, 3, code)
	require.Equal(t, "targets", out.String())
	require.Equal(t, 3, s.asked)
}

// What may have begun is not done twice.
func TestExecNotGivenAgain(t *testing.T) {
	t.Parallel()
	reset := []error{errors.New("read vsock: connection reset by peer")}
	for _, c := range []struct {
		name, says string
		lxd        *slowLXD
	}{
		{"it printed", "i/o timeout", &slowLXD{errs: []error{errHandshake}, first: "a result", state: api.Running}},
		{"its agent died", "connection reset by peer", &slowLXD{errs: reset, state: api.Running}},
		{"it died", "does not run any more (Stopped); the end of its qemu.log: its last words", &slowLXD{errs: reset, state: api.Stopped}},
		{"it was removed", "connection reset by peer; the instance is not there any more", &slowLXD{errs: reset}},
		{"LXD died", "connection reset by peer", &slowLXD{errs: reset, gone: errors.New("EOF")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := (&Instance{Name: "i", VM: true, server: c.lxd}).Exec(t.Context(), session.Command{Stdout: io.Discard})
			require.ErrorContains(t, err, c.says)
			require.Equal(t, 1, c.lxd.asked)
		})
	}
}

// loudLXD writes to both streams at once, as LXD's client does.
type loudLXD struct {
	Server
	bytes int // to each
}

func (l loudLXD) ExecInstance(_ string, _ api.InstanceExecPost, args *lxd.InstanceExecArgs) (lxd.Operation, error) {
	var both sync.WaitGroup
	for _, to := range []io.Writer{args.Stdout, args.Stderr} {
		both.Go(func() {
			for range l.bytes >> 10 {
				to.Write(bytes.Repeat([]byte("x"), 1<<10))
			}
		})
	}
	both.Wait()
	close(args.DataDone)
	return ended{}, nil
}

// What a guest prints on both streams goes to one place from two sides, and no more of it
// is kept than its end. Run it with -race.
func TestStreamsFromTwoSides(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	i := &Instance{Name: "i", server: loudLXD{bytes: 64 << 20}}
	err := i.Tune(t.Context(), Tuning{NoIPv6: true})
	require.ErrorContains(t, err, "ended with 3")
	require.Less(t, len(err.Error()), 2*model.MaxMessage)
	_, err = i.look(t.Context(), false)
	require.ErrorContains(t, err, "ended with 3")
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20))
}
