package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/tail"
)

// explainApt says why apt-get failed. Its text is kept for people; the reason
// comes from what its mirrors answered to us.
func (e *env) explainApt(ctx context.Context, aptErr error, output string, ask func() observation) observation {
	o := observation{err: aptErr, output: output}
	if errors.Is(aptErr, context.Canceled) {
		o.reason = model.Canceled
		return o
	}
	if diskFull(e.apt.dir) || diskFull("/var/lib/dpkg") {
		o.reason = model.DiskFull
		return o
	}
	asked := ask()
	o.reason, o.values, o.dials = asked.reason, asked.values, asked.dials
	switch {
	case o.reason == model.PackageManager:
		o.err = both(aptErr, asked.err)
	case asked.err != nil:
		o.err = fmt.Errorf("%w; its mirror: %w", aptErr, asked.err)
	case errors.Is(aptErr, context.DeadlineExceeded):
		o.reason = model.DeadlineExceeded
	default:
		o.reason = model.PackageManager
	}
	if asked.err == nil && asked.reason == "" {
		e.explainAptProxy(ctx, &o)
	}
	return o
}

// askMirrors asks apt's mirrors for their Release files, up to the first that fails.
func (e *env) askMirrors(ctx context.Context) observation {
	var o observation
	bases, err := e.apt.mirrors(ctx, e.targets)
	if err != nil || len(bases) == 0 {
		return observation{reason: model.PackageManager, err: err}
	}
	for _, base := range bases {
		asked := e.fetch(ctx, e.dialer(), http.MethodGet, base+"InRelease")
		if asked.reason == model.HTTPStatus {
			asked = e.fetch(ctx, e.dialer(), http.MethodGet, base+"Release")
		}
		o.dials = append(o.dials, asked.dials...)
		if asked.reason == "" {
			continue
		}
		o.reason, o.values, o.err = asked.reason, asked.values, asked.err
		if o.values == nil {
			o.values = map[string]string{}
		}
		o.values["mirror"] = base
		return o
	}
	return o
}

// usual is how long apt-get update takes where nothing is wrong.
const usual = 2 * time.Second

// askMeanwhile asks apt's mirrors beside an apt-get that takes longer than usual, so that
// what fails is not waited for twice. What it returns waits for the answer; cancel ends it.
func (e *env) askMeanwhile(ctx context.Context) (answer func() observation, cancel context.CancelFunc) {
	ctx, cancel = context.WithCancel(ctx)
	now, answered := make(chan struct{}), make(chan observation, 1)
	go func() {
		select {
		case <-now:
		case <-time.After(usual):
		case <-ctx.Done():
		}
		answered <- e.askMirrors(ctx)
	}()
	return func() observation {
		close(now)
		return <-answered
	}, cancel
}

// mirrors asks apt-get itself which repositories its sources name, as the URLs
// of the folders of their Release files. It needs no network for that.
func (a *aptState) mirrors(ctx context.Context, t *targets.Set) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := a.run(ctx, t, "update", "--print-uris")
	if err != nil {
		return nil, fmt.Errorf("list apt's mirrors: %w: %s", err, tail.Text(out, model.MaxMessage))
	}
	return parseURIs(out), nil
}

// parseURIs reads what "apt-get update --print-uris" prints, lines of
// 'URL' FILE SIZE, and keeps the folders of the InRelease files.
func parseURIs(text string) []string {
	const most = 8
	var bases []string
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		rest, quoted := strings.CutPrefix(lines.Text(), "'")
		u, _, closed := strings.Cut(rest, "'")
		base, isRelease := strings.CutSuffix(u, "InRelease")
		if !quoted || !closed || !isRelease || slices.Contains(bases, base) || !(targets.ValidURL(base, "http") || targets.ValidURL(base, "https")) {
			continue
		}
		if bases = append(bases, base); len(bases) == most {
			break
		}
	}
	return bases
}
