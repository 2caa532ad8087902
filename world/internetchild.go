package world

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nestlab/nestlab/world/internet"
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
	cancel context.CancelFunc
	said   *tail
}

func (s *servers) failure() error {
	return fmt.Errorf("%w: %s", s.child.failure(), s.said)
}

// stop ends the process, which is no failure of it.
func (s *servers) stop() error {
	s.cancel()
	<-s.done
	return nil
}

// startInternet starts the servers in their namespace and waits until they are ready.
func (w *World) startInternet(ctx context.Context, st *state, n *network) (*servers, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := w.launchInternet(ctx, st, n)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start the simulated internet: %w", err)
	}
	s.cancel = cancel
	return s, nil
}

func (w *World) launchInternet(ctx context.Context, st *state, n *network) (*servers, error) {
	executable, err := w.executable()
	if err != nil {
		return nil, err
	}
	config := internet.Config{
		Resolver: internet.Resolver, Sites: internet.Sites(!w.config.SingleStack),
		State: st.dir, CAFile: st.caFile(), AptRepository: w.config.AptRepository,
		Images: append([]internet.Image{internet.Hello(executable)}, w.config.Images...),
	}
	spec, err := specPipe(config)
	if err != nil {
		return nil, err
	}
	defer spec.Close()
	report, reporter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer report.Close()
	cmd, err := w.command(ctx, roleInternet, spec, reporter)
	if err != nil {
		return nil, errors.Join(err, reporter.Close())
	}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = w.config.Log, said
	// Its own session: what a terminal sends to stop the run must not end it first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c, err := start(cmd, inNetwork(n.internet))
	if err := errors.Join(err, reporter.Close()); err != nil {
		return nil, err
	}
	s := &servers{child: c, said: said}
	return s, s.awaitReady(ctx, report)
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
	f := os.NewFile(specFD, "specification")
	if f == nil {
		return errors.New("no specification given: nestlab starts this command itself")
	}
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
	return errors.Join(internet.Serve(ctx, config), reported)
}
