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
	"strings"
	"time"
)

// The guest agent hands over what a command printed when it has ended, and of a
// guest that dies before that nothing. So a guest has a second port, on which a
// command's output leaves as it is printed: nestlab vm send in the guest runs the
// command and writes there.
//
// A command that is given up on this side may go on printing in the guest, into what
// the next one prints. So all that is printed comes in records, each with its
// command's token, and those of another token are passed over.

// streamPort is that port's name in the guest.
const streamPort = "nestlab.output.0"

// streamDevice is its device in the guest.
const streamDevice = "/dev/virtio-ports/" + streamPort

// delimiter is on both sides of a record, and nowhere else in the stream: what was cut
// off in the middle spoils no record behind it.
const delimiter = "\x00"

// record is a piece of what the token's command printed.
func record(token, text string) string {
	return delimiter + token + " " + escaping.Replace(text) + delimiter
}

// lastRecord says that there is no more.
func lastRecord(token string) string { return delimiter + token + delimiter }

// What a command prints is text, but if it is not, it comes through all the same.
var (
	escaping   = strings.NewReplacer(`\`, `\\`, delimiter, `\0`)
	unescaping = strings.NewReplacer(`\\`, `\`, `\0`, delimiter)
)

// stream is the host's end of the port, for one command.
type stream struct {
	conn  net.Conn
	token string
	// done gets how the reading ended, once.
	done chan error
}

// listen connects to the port and hands the output of the token's command to out
// as it comes. What other commands print there is passed over.
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
	go func() { s.done <- receive(conn, s.token, out) }()
	return s, nil
}

// maxRecord is more than a record has, each byte of it escaped, and its token.
const maxRecord = 2*recordSize + 64

// receive hands on what is in the token's records, up to the last. Of one that the end of
// the stream cuts off it hands on what there is.
func receive(from io.Reader, token string, out io.Writer) error {
	for r := bufio.NewReaderSize(from, maxRecord); ; {
		got, err := r.ReadSlice(delimiter[0])
		rest, own := bytes.CutPrefix(bytes.TrimSuffix(got, []byte(delimiter)), []byte(token))
		if errors.Is(err, bufio.ErrBufferFull) {
			// No record of ours is as long; the rest of it begins with no token.
			if own {
				return errors.New("the output has a record without an end")
			}
			continue
		}
		if own && len(rest) == 0 && err == nil {
			return nil
		}
		if text, some := bytes.CutPrefix(rest, []byte(" ")); own && some {
			if _, failed := unescaping.WriteString(out, string(text)); failed != nil {
				return fmt.Errorf("hand over what was printed: %w", failed)
			}
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
// nestlab with args. It ends there when its time is over here.
func (s *stream) sendArgs(ctx context.Context, args []string) []string {
	send := []string{"vm", "send", "--port", streamDevice, "--token", s.token}
	if deadline, ok := ctx.Deadline(); ok {
		send = append(send, "--limit", max(time.Until(deadline), time.Nanosecond).String())
	}
	return append(append(send, "--", binaryPath), args...)
}
