package vm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"
)

// The guest agent hands over what a command printed when it has ended, and of a
// guest that dies before that nothing. So a guest has a second port, on which a
// command's output leaves as it is printed: nestlab vm send in the guest runs the
// command and writes there.

// streamPort is that port's name in the guest.
const streamPort = "nestlab.output.0"

// streamDevice is its device in the guest.
const streamDevice = "/dev/virtio-ports/" + streamPort

// mark is what begins and ends the output of one command, which has a token, in the
// stream. Output of commands is text, and holds no NUL.
func mark(what, token string) string { return "\x00" + what + " " + token + "\n" }

const (
	markBegin = "begin"
	markEnd   = "end"
)

// Send runs a command and writes what it prints to the port, between the marks of
// the token. It returns the command's exit code; what it prints on standard error
// goes to stderr.
func Send(ctx context.Context, port, token string, command []string, stdin io.Reader, stderr io.Writer) (code int, err error) {
	to, err := os.OpenFile(port, os.O_WRONLY, 0)
	if err != nil {
		return -1, fmt.Errorf("open the port for output: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if _, err := io.WriteString(to, mark(markBegin, token)); err != nil {
		return -1, fmt.Errorf("begin the output: %w", err)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, to, stderr
	ran := cmd.Run()
	var exit *exec.ExitError
	if ran != nil && !errors.As(ran, &exit) {
		return -1, fmt.Errorf("run %s: %w", command[0], ran)
	}
	if _, err := io.WriteString(to, mark(markEnd, token)); err != nil {
		return -1, fmt.Errorf("end the output: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// stream is the host's end of the port, for one command.
type stream struct {
	conn  net.Conn
	token string
	// done gets how the reading ended, once.
	done chan error
}

// listen connects to the port and hands the output of the token's command to out
// as it comes. What an earlier command left unread there is passed over.
func listen(ctx context.Context, socket string, out io.Writer) (*stream, error) {
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("draw a token: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("reach the guest's port for output: %w", err)
	}
	s := &stream{conn: conn, token: hex.EncodeToString(random), done: make(chan error, 1)}
	go func() { s.done <- s.copy(out) }()
	return s, nil
}

// copy hands on what is between the marks, line by line, and at the end of the
// stream what there is.
func (s *stream) copy(out io.Writer) error {
	begin, end := []byte(mark(markBegin, s.token)), []byte(mark(markEnd, s.token))
	begun := false
	for r := bufio.NewReader(s.conn); ; {
		line, err := r.ReadBytes('\n')
		if !begun {
			_, line, begun = bytes.Cut(line, begin)
		}
		text, ended := bytes.CutSuffix(line, end)
		if begun && len(text) > 0 {
			if _, failed := out.Write(text); failed != nil {
				return fmt.Errorf("hand over what was printed: %w", failed)
			}
		}
		if begun && ended {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the output ended early: %w", err)
		}
	}
}

// drainWithin is how long output may take that was printed before its command ended.
const drainWithin = 10 * time.Second

// close waits for the end of the output of a command that has ended, or with
// failed of one that is lost: then for what is on its way.
func (s *stream) close(failed bool) error {
	wait := drainWithin
	if failed {
		wait = time.Second
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return errors.Join(fmt.Errorf("bound the wait for output: %w", err), s.conn.Close())
	}
	return errors.Join(<-s.done, s.conn.Close())
}

// sendArgs are the arguments of nestlab in the guest that send the output of
// nestlab with args.
func (s *stream) sendArgs(args []string) []string {
	return append([]string{"vm", "send", "--port", streamDevice, "--token", s.token, "--", binaryPath}, args...)
}
