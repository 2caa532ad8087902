package dind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/spec"
)

// Server is Docker-in-Docker as people take it away: what its daemon needs is chosen by
// looking at the machine, and each choice is a line of Log.
type Server struct {
	Request spec.Docker
	// Sources are lines of sources.list for an installation at run time; empty for the
	// configured ones.
	Sources []string
	Daemon  Daemon
	// Ready bounds the wait for the daemon's API.
	Ready time.Duration
	// Listen is the TCP address to serve the daemon on once its API answers; empty for none.
	// Certificates is the directory of the server's, where the request wants TLS.
	Listen, Certificates string
	// Images is the directory of images to load; see spec.DockerImages.
	Images string
	// Temporary empties the data root first: it is one that an earlier daemon had.
	Temporary bool
	Log       io.Writer
}

func (s *Server) say(format string, args ...any) {
	fmt.Fprintf(s.Log, "nestlab: "+format+"\n", args...)
}

// Run serves until the context ends or the daemon is gone for good.
func (s *Server) Run(ctx context.Context) (err error) {
	if err := checkPrivileges(); err != nil {
		return err
	}
	s.Daemon.defaults()
	s.Daemon.Root = cmp.Or(s.Daemon.Root, spec.DockerData)
	if err := s.install(ctx); err != nil {
		return err
	}
	lock, err := lockData(s.Daemon.Root, s.holder())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	s.Daemon.Lock = lock
	if s.Temporary {
		if err := emptyData(s.Daemon.Root); err != nil {
			return err
		}
	}
	if err := s.choose(ctx); err != nil {
		return err
	}
	if err := s.Daemon.Start(ctx, s.Ready); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Daemon.Stop()) }()
	if err := loadImages(ctx, s.Daemon.Host(), s.Images, s.say); err != nil {
		return err
	}
	return s.serve(ctx)
}

// install puts Docker here where that was not done when the image was built.
func (s *Server) install(ctx context.Context) error {
	if _, err := exec.LookPath("dockerd"); err == nil || s.Request.Phase != spec.Runtime {
		return nil // Daemon.Start says what is missing
	}
	start := time.Now()
	in := Install{Origin: s.Request.Origin, Sources: s.Sources, Log: s.Log}
	if err := in.Run(ctx); err != nil {
		return err
	}
	s.say("Docker installed by method %s in %.1f s", in.Method, time.Since(start).Seconds())
	return nil
}

// holder is what a second daemon on the same data is told.
func (s *Server) holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	name := "temporary data"
	if s.Request.Data != "" {
		name = "data volume " + s.Request.Data
	}
	return fmt.Sprintf("%s, process %d of %s since %s", name, os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
}

// choose prepares the machine and the daemon's settings.
func (s *Server) choose(ctx context.Context) error {
	d := &s.Daemon
	// dockerd may do without these, and says itself what becomes of it.
	if cgroups, err := delegateCgroups("/sys/fs/cgroup"); err != nil {
		s.say("cgroup left as it is: %v", err)
	} else {
		s.say("cgroup %s", cgroups)
	}
	path, why, err := chooseIPTables(ctx, d.Dir)
	if err != nil {
		s.say("firewall left as it is: %v", err)
	} else {
		d.Path = path
		s.say("firewall by %s", why)
	}
	machine, err := inspect(ctx, d.Root, s.Request)
	if err != nil {
		return err
	}
	settings, choices, err := Configure(s.Request, machine)
	if err != nil {
		return err
	}
	d.Settings = settings
	for _, c := range choices {
		s.say("%s", c)
	}
	stale, err := removeStalePID(d.pidFile())
	if stale {
		s.say("removed %s: its process is no dockerd any more", d.pidFile())
	}
	return err
}

// serve opens the daemon to clients until one of both ends.
func (s *Server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.Listen == "" {
		s.say("dockerd is ready on %s", s.Daemon.Socket)
		return s.Daemon.Wait()
	}
	certificates := ""
	if s.Request.TLS {
		certificates = filepath.Join(s.Certificates, "server")
	}
	g, err := openGate(s.Listen, certificates, s.Daemon.Socket)
	if err != nil {
		return err
	}
	s.say("dockerd is ready on %s and, TLS %t, on tcp://%s", s.Daemon.Socket, s.Request.TLS, g.listener.Addr())
	served := make(chan error, 1)
	go func() { served <- g.serve(ctx) }()
	gone := make(chan error, 1)
	go func() { gone <- s.Daemon.Wait() }()
	select {
	case err := <-served:
		return err
	case err := <-gone:
		cancel()
		return errors.Join(err, <-served)
	}
}
