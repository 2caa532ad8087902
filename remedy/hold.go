package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/owner"
)

// held is an abstract socket: there is one of the name in a network namespace, whatever
// files a container shares with the host, and it goes with the process, however that ends.
const held = "@nestlab-changes-this-host"

// Held is why a host is not to be changed: somebody else does that.
type Held struct {
	Owner owner.Owner `json:"owner"`
	// Command is what is carried out.
	Command string `json:"command"`
}

func (h Held) Error() string {
	return h.who() + "; try again when it is done, or have a run wait with --lock-timeout"
}

func (h Held) who() string {
	return fmt.Sprintf("another nestlab changes this host right now: %s, `%s`", h.Owner, h.Command)
}

// maxCommand bounds the command of a Held.
const maxCommand = 200

// Hold keeps every other nestlab from changing this network namespace until release is
// called, or this process ends. One that does so already is waited for at least as long
// as a change takes, and at most for wait; waiting is told once who it is, nil tells
// nobody. The error is then a Held.
func (h Host) Hold(ctx context.Context, wait time.Duration, waiting func(by string)) (release func() error, err error) {
	by := h.Owner
	if by == nil {
		self, err := owner.Self("")
		if err != nil {
			return nil, err
		}
		by = &self
	}
	told := waiting == nil
	take := func() (*net.UnixListener, error) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: held, Net: "unix"})
		if err == nil || !errors.Is(err, unix.EADDRINUSE) {
			return l, permanent(err)
		}
		who, failed := holder(ctx)
		if failed != nil {
			return nil, failed // it may have ended by now
		}
		if !told {
			told = true
			waiting(who.who())
		}
		return nil, who
	}
	often := backoff.NewExponentialBackOff()
	often.InitialInterval, often.MaxInterval = 20*time.Millisecond, time.Second
	l, err := backoff.Retry(ctx, take, backoff.WithBackOff(often), backoff.WithMaxElapsedTime(max(wait, lockedFor)))
	if errors.As(err, new(Held)) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("keep others from changing this host: %w", err)
	}
	go answer(l, Held{Owner: *by, Command: clip(strings.Join(os.Args, " "))})
	return l.Close, nil
}

func permanent(err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(err)
}

func clip(command string) string {
	if len(command) > maxCommand {
		return strings.ToValidUTF8(command[:maxCommand], "") + "…"
	}
	return command
}

// answerWithin bounds what is said about who it is, on both sides.
const answerWithin = time.Second

// answer tells whoever asks who keeps the host, until the listener is closed.
func answer(l net.Listener, me Held) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond) // out of file descriptors: somebody asks again
			continue
		}
		if err := c.SetDeadline(time.Now().Add(answerWithin)); err == nil {
			_ = json.NewEncoder(c).Encode(me) // whoever asked may have gone
		}
		_ = c.Close()
	}
}

// holder asks who keeps the host. One that does not say is known by its number alone.
func holder(ctx context.Context) (who Held, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", held)
	if err != nil {
		return who, fmt.Errorf("ask who changes this host: %w", err)
	}
	defer c.Close()
	peer, err := peerOf(c.(*net.UnixConn))
	if err != nil {
		return who, fmt.Errorf("ask who changes this host: %w", err)
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return who, fmt.Errorf("user %d's process %d has the name %s, by which nestlab keeps others from changing this host; end it", peer.Uid, peer.Pid, held)
	}
	who = Held{Owner: owner.Owner{Run: "unknown", PID: int(peer.Pid)}, Command: "it does not answer"}
	if err := c.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return who, nil
	}
	var said Held
	if json.NewDecoder(io.LimitReader(c, 1<<16)).Decode(&said) == nil {
		who = said
		if peer.Pid != 0 { // of another container it has another number here
			who.Owner.PID = int(peer.Pid)
		}
	}
	return who, nil
}

func peerOf(c *net.UnixConn) (peer *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(failed, err)
}
