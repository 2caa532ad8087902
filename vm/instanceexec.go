package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"

	"github.com/nestlab/nestlab/session"
)

// execTries is the number of times that a command is given to LXD whose agent was too slow to
// begin it.
const execTries = 4

// Exec implements session.Environment. LXD gives the agent of a virtual machine 5 s
// for each of the four connections that a command needs, and the agent waits 5 s for
// all of them: a busy machine may take longer. Such a command did not begin, and
// is given again.
func (i *Instance) Exec(ctx context.Context, c session.Command) (int, error) {
	var printed atomic.Bool
	c.Stdout, c.Stderr = noted{orDiscard(c.Stdout), &printed}, noted{orDiscard(c.Stderr), &printed}
	var input []byte
	if c.Stdin != nil {
		var err error
		if input, err = io.ReadAll(c.Stdin); err != nil {
			return -1, fmt.Errorf("read the input for %s: %w", i.Name, err)
		}
	}
	return backoff.Retry(ctx, func() (int, error) {
		if input != nil {
			c.Stdin = bytes.NewReader(input)
		}
		code, err := i.execute(ctx, c)
		if err == nil || !printed.Load() && notBegun(err) {
			return code, err
		}
		return code, backoff.Permanent(i.fate(ctx, err))
	}, backoff.WithBackOff(backoff.NewConstantBackOff(execPause)), backoff.WithMaxTries(execTries))
}

// fate adds to an error that the instance does not run any more, where that explains it.
func (i *Instance) fate(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	found, failed := i.known(ctx)
	switch {
	case failed != nil: // LXD itself is gone, which the error says
		return err
	case found == nil:
		return fmt.Errorf("%w; the instance is not there any more", err)
	case found.StatusCode == api.Running:
		return err
	}
	return i.explain(ctx, fmt.Errorf("%w; the instance does not run any more (%s)", err, found.Status))
}

// execPause lets what made the agent slow pass.
const execPause = 2 * time.Second

// notBegun is told from the words of LXD 5.0 to 6 and of the library of its
// websockets: these errors have no codes.
func notBegun(err error) bool {
	text := err.Error()
	has := func(part string) bool { return strings.Contains(text, part) }
	return has("waiting for websockets to connect") || has("TLS handshake timeout") ||
		has("connect to lxd-agent") || has("vsock") && has("i/o timeout")
}

// execute gives the command to LXD once.
func (i *Instance) execute(ctx context.Context, c session.Command) (int, error) {
	done := make(chan bool)
	op, err := Within(ctx, func() (lxd.Operation, error) {
		return i.server.ExecInstance(i.Name, api.InstanceExecPost{
			Command:     append([]string{binaryPath}, c.Args...),
			Environment: map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
			WaitForWS:   true,
		}, &lxd.InstanceExecArgs{Stdin: c.Stdin, Stdout: c.Stdout, Stderr: c.Stderr, DataDone: done})
	})
	var ended api.Operation
	if err == nil {
		// Not wait: LXD cannot cancel it. The instance is stopped soon.
		ended, err = end(ctx, i.server, op)
	}
	if err != nil {
		return -1, fmt.Errorf("run nestlab in %s: %w", i.Name, advise(err, i))
	}
	select {
	case <-done:
	case <-ctx.Done():
		return -1, fmt.Errorf("read what nestlab printed in %s: %w", i.Name, context.Cause(ctx))
	}
	code, ok := ended.Metadata["return"].(float64)
	if !ok {
		return -1, fmt.Errorf("LXD does not say how nestlab ended in %s: %v", i.Name, ended.Metadata)
	}
	return int(code), nil
}

// noted writes on, and notes that something was written.
type noted struct {
	io.Writer
	written *atomic.Bool
}

func (n noted) Write(p []byte) (int, error) {
	if len(p) > 0 {
		n.written.Store(true)
	}
	return n.Writer.Write(p)
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
