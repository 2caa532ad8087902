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
	"github.com/nestlab/nestlab/tail"
	"github.com/nestlab/nestlab/targets"
)

// explainApt says why apt-get failed. Its text is kept for people; the reason
// comes from asking its mirrors from here.
func (e *env) explainApt(ctx context.Context, aptErr error, output string) observation {
	o := observation{err: aptErr, output: output}
	if errors.Is(aptErr, context.Canceled) {
		o.reason = model.Canceled
		return o
	}
	if diskFull(e.apt.dir) || diskFull("/var/lib/dpkg") {
		o.reason = model.DiskFull
		return o
	}
	bases, err := e.apt.mirrors(ctx, e.targets)
	if err != nil || len(bases) == 0 {
		o.reason = model.PackageManager
		o.err = both(aptErr, err)
		return o
	}
	return e.askMirrors(ctx, o, bases)
}

func (e *env) askMirrors(ctx context.Context, o observation, bases []string) observation {
	for _, base := range bases {
		asked := e.fetch(ctx, http.MethodGet, base+"InRelease")
		if asked.reason == model.HTTPStatus {
			asked = e.fetch(ctx, http.MethodGet, base+"Release")
		}
		o.dials = append(o.dials, asked.dials...)
		if asked.reason == "" {
			continue
		}
		o.reason, o.values = asked.reason, asked.values
		if o.values == nil {
			o.values = map[string]string{}
		}
		o.values["mirror"] = base
		o.err = fmt.Errorf("%w; its mirror: %w", o.err, asked.err)
		return o
	}
	o.reason = model.PackageManager
	if errors.Is(o.err, context.DeadlineExceeded) {
		o.reason = model.DeadlineExceeded
	}
	return o
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
