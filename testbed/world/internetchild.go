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
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/tail"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// The file descriptors that the world's own processes get.
const (
	specFD   = 3 // JSON: what to do
	reportFD = 4 // written to once; the meaning is the role's
	groupFD  = 5 // the first of the runner's cgroup directories
)

// internetLimit is how long the servers may take to bind and to take in the images.
const internetLimit = 2 * time.Minute

const readyWord = "ready\n"

// caFile is where a state directory has the certificate authority of its internet.
func (s *state) caFile() string { return filepath.Join(s.dir, "ca.pem") }

// servers is the internet's process.
type servers struct {
	*child
	wire   *net.UnixConn
	cancel context.CancelFunc
	said   *tail.Writer
}

func (s *servers) failure() error {
	return fmt.Errorf("%w: %s", s.child.failure(), s.said)
}

// stop ends the process, which is no failure of it.
func (s *servers) stop() error {
	s.cancel()
	<-s.done
	return s.wire.Close()
}

// startInternet starts the servers in their namespace and waits until they are ready.
func (w *World) startInternet(ctx context.Context, st *state, n *network) (*servers, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, report, err := w.launchInternet(ctx, st, n)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start the simulated internet: %w", err)
	}
	s.cancel = cancel
	err = s.awaitReady(ctx, report)
	if err != nil {
		err = errors.Join(fmt.Errorf("start the simulated internet: %w", err), s.stop())
	}
	if err = errors.Join(err, report.Close()); err != nil {
		return nil, err
	}
	return s, nil
}

func (w *World) launchInternet(ctx context.Context, st *state, n *network) (_ *servers, report *os.File, err error) {
	executable, err := w.executable()
	if err != nil {
		return nil, nil, err
	}
	config := internet.Config{
		Resolver: internet.Resolver, Sites: internet.Sites(!w.config.SingleStack), IPv6: w.config.IPv6,
		State: st.dir, CAFile: st.caFile(), AptRepository: w.config.AptRepository,
		Images: append([]internet.Image{internet.Hello(executable)}, w.config.Images...),
	}
	spec, err := specPipe(config)
	if err != nil {
		return nil, nil, err
	}
	defer spec.Close()
	report, reporter, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer reporter.Close()
	wire, theirs, err := newWire()
	if err != nil {
		return nil, nil, errors.Join(err, report.Close())
	}
	defer theirs.Close()
	cmd, err := w.command(ctx, roleInternet, spec, reporter, theirs)
	if err != nil {
		return nil, nil, errors.Join(err, report.Close(), wire.Close())
	}
	said := tail.New(4 << 10)
	cmd.Stdout, cmd.Stderr = w.config.Log, said
	// Its own session: what a terminal sends to stop the run must not end it first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c, err := start(cmd, inNetwork(n.internet), terminate)
	if err != nil {
		return nil, nil, errors.Join(err, report.Close(), wire.Close())
	}
	return &servers{child: c, wire: wire, said: said}, report, nil
}

// awaitReady waits for the word; the pipe's end without it is the process's end.
func (s *servers) awaitReady(ctx context.Context, report *os.File) error {
	if err := report.SetReadDeadline(time.Now().Add(internetLimit)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { report.SetReadDeadline(time.Now()) }) //nolint:errcheck // the first call has shown that it can
	defer stop()
	word, err := bufio.NewReader(report).ReadString('\n')
	if err == nil && word == readyWord {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("not ready after %v: %s", internetLimit, s.said)
	}
	<-s.done
	return s.failure()
}

// specPipe is a pipe from which a process reads what it is to do.
func specPipe(v any) (*os.File, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// A pipe holds 64 KiB, and a specification is far from that.
	_, err = w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// readSpec is the other end of specPipe.
func readSpec(v any) error {
	if err := checkWanted(); err != nil {
		return err
	}
	f := os.NewFile(specFD, "specification")
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read the specification (nestlab starts this command itself): %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read the specification (nestlab starts this command itself): %w", err)
	}
	return nil
}

// checkWanted is for a process whose world may have died before the process
// could ask the kernel to die with it: then nobody reads its report.
func checkWanted() error {
	fds := []unix.PollFd{{Fd: reportFD}}
	_, err := unix.Poll(fds, 0)
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Poll(fds, 0)
	}
	if err != nil {
		return fmt.Errorf("look for the world: %w", err)
	}
	if fds[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0 {
		return errors.New("no world wants this process: nestlab starts this command itself")
	}
	return nil
}

// internetChild is the internet's process.
func internetChild(ctx context.Context) error {
	var config internet.Config
	if err := readSpec(&config); err != nil {
		return err
	}
	config.Log = os.Stdout
	reporter := os.NewFile(reportFD, "reporter")
	var reported error
	config.Ready = func() {
		_, err := io.WriteString(reporter, readyWord)
		reported = errors.Join(err, reporter.Close())
	}
	wire, err := wireOf(os.NewFile(behaveFD, "wire"))
	if err != nil {
		return err
	}
	config.Conduct = internet.NewConduct()
	ctx, end := context.WithCancel(ctx)
	obeyed := make(chan error, 1)
	go func() { obeyed <- obey(ctx, wire, config.Conduct) }()
	err = internet.Serve(ctx, config)
	end()
	return errors.Join(err, reported, <-obeyed)
}
