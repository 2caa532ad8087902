package probe

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/nestlab/nestlab/model"
)

// SuiteInstall is the one probe that changes the place: it puts Docker in. It is
// made only where Options say how.
const SuiteInstall = "install"

// The values of the probe's result, in milliseconds: until everything was
// installed, and from then until the daemon answered.
const (
	ValueInstall = "install_ms"
	ValueReady   = "ready_ms"
)

// Installation puts Docker into the place, between the network's probes and the
// others, which then see what came of it.
type Installation struct {
	// Method is the target's name in the results.
	Method string
	// URL is asked for when the installation failed, to say why; the mirrors of
	// apt are if it is empty.
	URL string
	// Run does it and returns what was printed. ErrNoInstaller says that it cannot
	// be done here.
	Run func(ctx context.Context) (string, error)
	// Ready waits for the daemon.
	Ready func(ctx context.Context) error
}

// ErrNoInstaller is why an installation is skipped: a tool that it needs is not there.
var ErrNoInstaller = errors.New("not available here")

// probeInstall puts Docker in. A failure to download has the reason that asking
// for the same from here has.
func probeInstall(in *Installation) probeFunc {
	return func(ctx context.Context, e *env, _ string) observation {
		e.docker.absent = "Docker could not be installed"
		begin := time.Now()
		runCtx, cancel := share(ctx)
		defer cancel()
		out, err := in.Run(runCtx)
		switch {
		case errors.Is(err, ErrNoInstaller):
			return observation{outcome: model.Skip, reason: model.CommandNotFound, err: err}
		case err != nil:
			return e.explainInstall(ctx, in, err, out)
		}
		e.docker.absent = ""
		values := map[string]string{ValueInstall: elapsed(begin)}
		started := time.Now()
		if err := in.Ready(runCtx); err != nil {
			return observation{reason: model.DaemonDown, err: err, values: values, output: out}
		}
		values[ValueReady] = elapsed(started)
		return observation{values: values, output: out}
	}
}

func elapsed(since time.Time) string { return strconv.FormatInt(time.Since(since).Milliseconds(), 10) }

func (e *env) explainInstall(ctx context.Context, in *Installation, err error, output string) observation {
	if in.URL != "" {
		if asked := e.fetch(ctx, e.dialer(), http.MethodGet, in.URL); asked.reason != "" {
			asked.err, asked.output = both(err, asked.err), output
			return asked
		}
	}
	if e.targets.Apt == nil {
		return observation{reason: model.PackageManager, err: err, output: output}
	}
	if failed := e.apt.prepare(e.targets.Apt); failed != nil {
		return observation{reason: model.PackageManager, err: both(err, failed), output: output}
	}
	return e.explainApt(ctx, err, output, func() observation { return e.askMirrors(ctx) })
}
