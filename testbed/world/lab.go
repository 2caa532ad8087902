package world

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/internet"
)

// behaveFD is the internet's end of the wire that it is told its behavior by.
const behaveFD = 5

// behaveLimit is how long the servers may take to behave as they were told.
const behaveLimit = time.Minute

// lab is what of a running world can be broken.
type lab struct {
	network *network
	wire    *net.UnixConn

	mu      sync.Mutex
	changes []*change
}

// change is one change of the servers' behavior; its address is its identity.
type change struct{ make func(*internet.Behavior) }

func (w *World) setLab(l *lab) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lab = l
}

func (w *World) getLab() (*lab, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lab == nil {
		return nil, errors.New("the simulated internet is not running")
	}
	return w.lab, nil
}

// InRunner calls f on a thread in the runner's network namespace. What f starts
// on other threads is not there.
func (w *World) InRunner(f func() error) error {
	l, err := w.getLab()
	if err != nil {
		return err
	}
	return l.in(l.network.runner, f)
}

// InInternet calls f on a thread in the internet's network namespace, through
// which all that the runner sends and gets passes.
func (w *World) InInternet(f func() error) error {
	l, err := w.getLab()
	if err != nil {
		return err
	}
	return l.in(l.network.internet, f)
}

func (l *lab) in(ns netns.NsHandle, f func() error) error {
	return onThread(func() error {
		if err := inNetwork(ns)(); err != nil {
			return err
		}
		return f()
	})
}

// Behave changes how the internet's servers behave, on top of what was changed
// before; undo takes this one change back, and may be called twice.
func (w *World) Behave(ctx context.Context, f func(*internet.Behavior)) (undo func(context.Context) error, err error) {
	l, err := w.getLab()
	if err != nil {
		return nil, err
	}
	mine := &change{f}
	undo = func(ctx context.Context) error { return l.tell(ctx, func() { l.drop(mine) }) }
	if err := l.tell(ctx, func() { l.changes = append(l.changes, mine) }); err != nil {
		return nil, errors.Join(err, undo(context.WithoutCancel(ctx)))
	}
	return undo, nil
}

func (l *lab) drop(c *change) {
	l.changes = slices.DeleteFunc(l.changes, func(x *change) bool { return x == c })
}

// tell changes the list of changes, and waits until the servers behave like that.
func (l *lab) tell(ctx context.Context, edit func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	edit()
	var b internet.Behavior
	for _, c := range l.changes {
		c.make(&b)
	}
	deadline := time.Now().Add(behaveLimit)
	if d, found := ctx.Deadline(); found && d.Before(deadline) {
		deadline = d
	}
	err := l.wire.SetDeadline(deadline)
	if err == nil {
		err = json.NewEncoder(l.wire).Encode(b)
	}
	if err == nil {
		_, err = io.ReadFull(l.wire, make([]byte, 1))
	}
	if err != nil {
		return fmt.Errorf("tell the simulated internet how to behave: %w", err)
	}
	return nil
}

// newWire is a pair of sockets: the world's end and the servers' one.
func newWire() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a wire to the simulated internet: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "wire")
	ours, err := wireOf(os.NewFile(uintptr(fds[0]), "wire"))
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// wireOf is a wire's end as a connection; the file is closed.
func wireOf(f *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open the wire between world and internet: %w", err)
	}
	wire, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("open the wire between world and internet: it is no unix socket"), conn.Close())
	}
	return wire, nil
}

// obey passes on the behaviors that come over the wire until it is closed. The
// answer says that the next request will see the new one.
func obey(ctx context.Context, wire *net.UnixConn, conduct *internet.Conduct) error {
	stop := context.AfterFunc(ctx, func() { wire.Close() }) //nolint:errcheck // ends the reading below, which tells
	defer stop()
	lines := json.NewDecoder(bufio.NewReader(wire))
	for {
		var b internet.Behavior
		err := lines.Decode(&b)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read how to behave: %w", err)
		}
		conduct.Set(b)
		if _, err := wire.Write([]byte{'.'}); err != nil {
			return fmt.Errorf("say that it behaves: %w", err)
		}
	}
}
