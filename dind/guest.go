package dind

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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
		// The retries are the caller's, who keeps a record of each.
		err = Install{Method: spec.Distro, Sources: g.Sources, Timeout: g.Timeout, Log: log, Once: true}.Run(ctx)
	case GuestScript:
		err = g.script(ctx, log)
	case GuestCached:
		err = g.cached(ctx, log)
	case GuestSnap:
		err = g.snap(ctx, log)
	default:
		err = g.Validate()
	}
	return log.String(), err
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

// cached installs the packages of the cache; what they need is among them.
func (g Guest) cached(ctx context.Context, log *tail.Writer) error {
	packages, err := filepath.Glob(filepath.Join(g.Cache, "*.deb"))
	if err != nil {
		return fmt.Errorf("look for packages in %s: %w", g.Cache, err)
	}
	if len(packages) == 0 {
		return fmt.Errorf("install Docker from %s: it holds no package", g.Cache)
	}
	return command(ctx, log, "apt-get", append([]string{
		"-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=60", "install", "--yes", "--no-install-recommends",
	}, packages...)...)
}

func (g Guest) snap(ctx context.Context, log *tail.Writer) error {
	if _, err := exec.LookPath("snap"); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSnap, err)
	}
	return command(ctx, log, "snap", "install", "docker")
}

// maxScript is the most that a script may have, in bytes.
const maxScript = 1 << 20

func (g Guest) script(ctx context.Context, log *tail.Writer) (err error) {
	text, err := g.fetch(ctx)
	if err != nil {
		return fmt.Errorf("fetch the script: %w", err)
	}
	f, err := os.CreateTemp("", "nestlab-get-docker-*.sh")
	if err != nil {
		return fmt.Errorf("keep the script: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep the script: %w", err)
	}
	return command(ctx, log, "sh", f.Name())
}

func (g Guest) fetch(ctx context.Context) ([]byte, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if g.CA != "" && !pool.AppendCertsFromPEM([]byte(g.CA)) {
		return nil, errors.New("the certificate authority is no PEM certificate")
	}
	web := &http.Client{Timeout: max(g.Timeout, time.Second), Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Script, nil)
	if err != nil {
		return nil, err
	}
	answer, err := web.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", g.Script, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxScript))
}

// command runs a program in a process group of its own, which dies with ctx.
func command(ctx context.Context, log *tail.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w; it printed:\n%s", name, err, log)
	}
	return nil
}
