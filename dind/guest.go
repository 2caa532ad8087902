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
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/docker/client"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
)

// The ways to put Docker into a guest that has an init system, which then runs
// the daemon.
const (
	GuestDistro = string(spec.Distro)
	// GuestScript fetches a script and runs it, as with get.docker.com.
	GuestScript = "convenience-script"
	// GuestCached installs packages and loads images that are in the guest already.
	GuestCached = "cached"
	// GuestSnap is snap install docker.
	GuestSnap = "snap"
)

// GuestMethods lists them.
func GuestMethods() []string { return []string{GuestDistro, GuestScript, GuestCached, GuestSnap} }

// ErrNoSnap is why a guest cannot install a snap.
var ErrNoSnap = errors.New("there is no snapd in this guest, and no store that it could ask")

// GuestDaemon is how long the daemon of a guest may usually take to answer.
const GuestDaemon = 30 * time.Second

// Guest puts Docker into the guest that it runs in.
type Guest struct {
	// Method is one of GuestMethods.
	Method string
	// Sources are for GuestDistro, as in Install.
	Sources []string
	// Script is the URL for GuestScript, CA PEM certificates that are trusted for it.
	Script, CA string
	// Cache is the directory of GuestCached: packages (*.deb) and images (*.tar).
	Cache string
	// Timeout bounds each wait for a mirror, Daemon the one for the daemon; 0 is 30 s.
	Timeout, Daemon time.Duration
}

// Validate checks the method before anything is changed.
func (g Guest) Validate() error {
	if !slices.Contains(GuestMethods(), g.Method) {
		return fmt.Errorf("unknown install method %q: use one of %s", g.Method, strings.Join(GuestMethods(), ", "))
	}
	if g.Method == GuestScript && g.Script == "" {
		return errors.New("the script's URL is missing")
	}
	return nil
}

// Run installs Docker and returns the end of what was printed.
func (g Guest) Run(ctx context.Context) (string, error) {
	log := tail.New(4 << 10)
	var err error
	switch g.Method {
	case GuestDistro:
		err = g.install(log, spec.Origin{Method: spec.Distro}).Run(ctx)
	case GuestScript:
		err = g.script(ctx, log)
	case GuestCached:
		err = g.install(log, spec.Origin{Method: spec.Cached, Packages: g.Cache}).Run(ctx)
	case GuestSnap:
		err = g.snap(ctx, log)
	default:
		err = g.Validate()
	}
	return log.String(), err
}

// install is an installation as the guest has it: without retries, which are the caller's,
// who keeps a record of each.
func (g Guest) install(log io.Writer, o spec.Origin) Install {
	in := Install{Origin: o, CA: g.CA, Timeout: g.Timeout, Log: log, Once: true}
	if o.Method == spec.Distro {
		in.Sources = g.Sources
	}
	return in
}

// Ready waits for the daemon, and gives it the images of the cache.
func (g Guest) Ready(ctx context.Context) error {
	limit := cmp.Or(g.Daemon, GuestDaemon)
	api, err := Dial("unix://" + DefaultSocket)
	if err != nil {
		return err
	}
	defer api.Close()
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		_, err := api.Ping(ctx)
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	if err != nil {
		return fmt.Errorf("wait for the daemon of the Docker that was installed: it does not answer within %s: %w; does the init system start it? See journalctl -u docker, or /var/log/docker.log", limit, err)
	}
	if g.Method == GuestCached {
		return g.load(ctx, api)
	}
	return nil
}

func (g Guest) load(ctx context.Context, api *client.Client) error {
	images, err := filepath.Glob(filepath.Join(g.Cache, "*.tar"))
	if err != nil {
		return fmt.Errorf("look for images in %s: %w", g.Cache, err)
	}
	for _, path := range images {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("load an image: %w", err)
		}
		// The client would close a file.
		loaded, err := api.ImageLoad(ctx, struct{ io.Reader }{f})
		if err == nil {
			_, err = io.Copy(io.Discard, loaded.Body)
			err = errors.Join(err, loaded.Body.Close())
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("load the image %s: %w", path, err)
		}
	}
	return nil
}

func (g Guest) snap(ctx context.Context, log *tail.Writer) error {
	if _, err := exec.LookPath("snap"); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSnap, err)
	}
	if err := command(ctx, log, nil, "snap", "install", "docker"); err != nil {
		return fmt.Errorf("run snap: %w", err)
	}
	return nil
}

// script runs a script as people do: whatever it is.
func (g Guest) script(ctx context.Context, log *tail.Writer) error {
	return g.install(log, spec.Origin{Method: spec.Script, Script: g.Script}).script(ctx)
}
