package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/dagger/dagger/engine/distconsts"
)

const (
	// cacheVariable hands the cache directory to the first process of the engine.
	cacheVariable = "NESTLAB_ENGINE_DIR"
	// engineGrace is what the engine gets to end its sessions and sync its disks.
	engineGrace = 60 * time.Second
	// uplinkGrace is what the uplink gets; it has nothing to save.
	uplinkGrace = 5 * time.Second
	// headerDeadline bounds how long a client of the mirror may take to ask.
	headerDeadline = 10 * time.Second
)

// supervisor runs the mirror itself and has two children: the engine and its
// uplink. If it is killed, the kernel kills them.
type supervisor struct {
	cache  cache
	spec   spec
	state  state
	mirror *mirror
	engine *exec.Cmd
	uplink *exec.Cmd
	gate   *os.File // opens the way for the engine's first process
}

// supervise runs until it is told to end or the engine ends by itself.
func supervise(ctx context.Context, c cache) (err error) {
	// The children die with the thread that started them, so this one stays.
	runtime.LockOSThread()
	s := &supervisor{cache: c}
	if ok, err := readJSON(c.specPath(), &s.spec); err != nil || !ok {
		return errors.Join(errors.New("there is nothing to supervise: up writes the spec"), err)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	served, err := s.begin(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Wait() }()
	select {
	case <-ctx.Done():
		log.Print("told to end")
		return nil
	case err := <-served:
		return fmt.Errorf("the mirror has ended: %w", err)
	case err := <-ended:
		s.state.Engine = process{}
		return errors.Join(errors.New("the engine has ended by itself"), err)
	}
}

// begin starts everything in the order of need: the engine's namespaces, their
// uplink, the mirror on both sides, and only then the engine.
func (s *supervisor) begin(ctx context.Context) (served <-chan error, err error) {
	if s.mirror, err = newMirror(s.cache.path("images"), log.Default()); err != nil {
		return nil, err
	}
	if s.state.Cgroups, err = engineCgroups(); err != nil {
		return nil, err
	}
	if err := s.startEngine(); err != nil {
		return nil, err
	}
	uplinkLog, err := createLog(s.cache.path("log", "uplink.log"))
	if err != nil {
		return nil, err
	}
	defer uplinkLog.Close()
	s.uplink, err = startUplink(ctx, s.engine.Process.Pid, uplinkLog)
	if err != nil {
		return nil, err
	}
	if served, err = s.serveMirror(); err != nil {
		return nil, err
	}
	if err := s.record(); err != nil {
		return nil, err
	}
	if _, err := s.gate.Write([]byte{1}); err != nil {
		return nil, fmt.Errorf("let the engine start: %w", err)
	}
	return served, s.gate.Close()
}

// startEngine makes the engine's namespaces and leaves their first process
// waiting at the gate.
func (s *supervisor) startEngine() error {
	out, err := createLog(s.cache.path("log", "engine.log"))
	if err != nil {
		return err
	}
	defer out.Close()
	wait, gate, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make the engine's gate: %w", err)
	}
	defer wait.Close()
	s.gate = gate
	cmd := exec.Command("/proc/self/exe", "init")
	cmd.Env = append([]string{
		"HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DO_NOT_TRACK=1",
		cacheVariable + "=" + s.cache.dir, distconsts.GoSDKManifestDigestEnvName + "=" + s.spec.SDKDigest,
	}, s.spec.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET,
		Unshareflags: newMountNamespace,
		Pdeathsig:    syscall.SIGKILL,
		Setsid:       true,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make the engine's namespaces: %w", err)
	}
	s.engine = cmd
	return nil
}

// serveMirror serves the images on the host's loopback, for whoever runs tests
// there, and in the engine's own network, for the engine.
func (s *supervisor) serveMirror() (<-chan error, error) {
	var last string
	if b, err := os.ReadFile(s.cache.portPath()); err == nil {
		last = strings.TrimSpace(string(b))
	}
	outside, err := listenRemembered(last)
	if err != nil {
		return nil, err
	}
	inside, err := listenIn(s.engine.Process.Pid, "127.0.0.1:"+mirrorPort)
	if err != nil {
		return nil, err
	}
	s.state.Mirror = outside.Addr().String()
	if err := os.WriteFile(s.cache.portPath(), []byte(s.state.Mirror+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("remember the mirror's address: %w", err)
	}
	served := make(chan error, 2)
	go func() {
		served <- (&http.Server{Handler: s.mirror, ReadHeaderTimeout: headerDeadline}).Serve(outside)
	}()
	go func() {
		served <- (&http.Server{Handler: s.mirror.outspoken(), ReadHeaderTimeout: headerDeadline}).Serve(inside)
	}()
	return served, nil
}

// record writes down what runs, for those who want to use or to end it.
func (s *supervisor) record() error {
	s.state.Generation, s.state.Version = s.spec.Generation, daggerVersion
	s.state.Since = time.Now().UTC().Truncate(time.Second)
	for _, p := range []struct {
		to  *process
		pid int
	}{{&s.state.Supervisor, os.Getpid()}, {&s.state.Engine, s.engine.Process.Pid}, {&s.state.Uplink, s.uplink.Process.Pid}} {
		var err error
		if *p.to, err = identify(p.pid); err != nil {
			return fmt.Errorf("record what runs: %w", err)
		}
	}
	return writeJSON(s.cache.statePath(), s.state)
}

// stop ends the children and removes what they leave on the host. It has its
// own time: the context that ended the run is over.
func (s *supervisor) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), engineGrace+2*uplinkGrace+20*time.Second)
	defer cancel()
	var err error
	if s.engine != nil {
		err = endChild(ctx, s.engine, engineGrace)
	}
	if s.uplink != nil {
		err = errors.Join(err, endChild(ctx, s.uplink, uplinkGrace))
	}
	return errors.Join(err, s.cache.tidy(s.state))
}

// endChild ends a child that is still there.
func endChild(ctx context.Context, cmd *exec.Cmd, grace time.Duration) error {
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		return nil // it has ended
	}
	return p.end(ctx, grace)
}

// tidy removes what an engine that has ended leaves behind: its cgroups, its
// socket and its state. Its mounts, links and firewall rules went with its namespaces.
func (c cache) tidy(st state) error {
	err := removeCgroups(st.Cgroups)
	for _, p := range []string{c.socket(), c.statePath()} {
		if gone := os.Remove(p); gone != nil && !os.IsNotExist(gone) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// createLog begins a new log and keeps the one before as .1.
func createLog(path string) (*os.File, error) {
	if err := os.Rename(path, path+".1"); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("keep the last log: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("begin a log: %w", err)
	}
	return f, nil
}
