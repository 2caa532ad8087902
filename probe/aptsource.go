package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
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
		o.err = errors.Join(aptErr, err)
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
// of their Release files' folders.
func (a *aptState) mirrors(ctx context.Context, t *Targets) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := a.run(ctx, t, "indextargets", "--format", "$(URI) $(METAKEY)")
	if err != nil {
		return nil, fmt.Errorf("list apt's mirrors: %w: %s", err, tail(out))
	}
	return parseIndexTargets(out), nil
}

// parseIndexTargets reads lines of "URI METAKEY"; the repository's base is what
// is left of the URI without the key.
func parseIndexTargets(text string) []string {
	const most = 8
	var bases []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		uri, key, found := strings.Cut(lines.Text(), " ")
		base, isIndex := strings.CutSuffix(uri, key)
		if !found || !isIndex || key == "" || seen[base] || !(validURL(base, "http") || validURL(base, "https")) {
			continue
		}
		if seen[base] = true; len(bases) < most {
			bases = append(bases, base)
		}
	}
	return bases
}
