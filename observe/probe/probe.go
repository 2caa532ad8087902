// Package probe holds the one suite that is run, byte-identical, in every
// environment: each probe makes one observation with a deadline, and a failure
// is data with a reason, never an error of the program.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// Options say where the suite runs and at what it is aimed.
type Options struct {
	Place model.Place
	// Round is one of the model's rounds; baseline if empty.
	Round string
	// Platform decides about expectations: azure, github-hosted, simulated or unknown.
	Platform string
	Targets  *targets.Set
	// Suites are those asked for; all if empty. The probes of the others are
	// reported as skipped, so that every place has every row.
	Suites []string
	// Only are the probes that are made, all if empty; the others are skipped.
	Only []string
	// Install puts Docker in; nil for not at all.
	Install *Installation
	// Retries is number of retries after a transient failure, 0 to 10.
	Retries int

	// ResolvConf is DefaultResolvConf if empty.
	ResolvConf string
	// DockerHost is $DOCKER_HOST or /var/run/docker.sock if empty.
	DockerHost string
	// AptGet is the path of apt-get; looked up in $PATH if empty.
	AptGet string
}

// Planned is a probe that Run would make.
type Planned struct {
	Suite    string        `json:"suite"`
	Probe    string        `json:"probe"`
	Target   string        `json:"target"`
	Deadline time.Duration `json:"deadline"`
	// Skip says why it would not be run; empty where it would.
	Skip model.Reason `json:"skip,omitempty"`
}

// Plan lists what Run would do, in order; nothing is run.
func Plan(o Options) ([]Planned, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	var out []Planned
	for _, t := range o.tasks() {
		out = append(out, Planned{Suite: t.suite, Probe: t.probe, Target: t.target, Deadline: t.deadline, Skip: t.skip})
	}
	return out, nil
}

func (o *Options) check() error {
	if o.Targets == nil {
		return errors.New("probe: no target set; take Builtin(\"live\") or targets.Parse")
	}
	if !slices.Contains(model.Environments(), o.Place.Environment) {
		return fmt.Errorf("probe: unknown environment %q; known: %s", targets.Clip(o.Place.Environment), strings.Join(model.Environments(), ", "))
	}
	if o.Round == "" {
		o.Round = model.RoundBaseline
	}
	// The rounds of a second and third intervention have names of their own.
	if !targets.IsName(o.Round) {
		return fmt.Errorf("probe: round %q is no name; write %s, %s or %s", targets.Clip(o.Round), model.RoundBaseline, model.RoundIntervened, model.RoundReverted)
	}
	if o.Platform != "" && !slices.Contains(model.Platforms(), o.Platform) {
		return fmt.Errorf("probe: unknown platform %q; known: %s", targets.Clip(o.Platform), strings.Join(model.Platforms(), ", "))
	}
	for _, s := range o.Suites {
		if known := append(model.Suites(), model.SuiteMachines); !slices.Contains(known, s) {
			return fmt.Errorf("probe: unknown suite %q; known: %s", targets.Clip(s), strings.Join(known, ", "))
		}
	}
	for _, p := range o.Only {
		if !slices.Contains(model.Probes(), p) {
			return fmt.Errorf("probe: unknown probe %q; known: %s", targets.Clip(p), strings.Join(model.Probes(), ", "))
		}
	}
	if o.Retries < 0 || o.Retries > model.MaxRetries {
		return fmt.Errorf("probe: %d retries; write 0 to %d", o.Retries, model.MaxRetries)
	}
	if o.ResolvConf == "" {
		o.ResolvConf = DefaultResolvConf
	}
	return nil
}

func (o *Options) wants(suite string) bool {
	return len(o.Suites) == 0 || slices.Contains(o.Suites, suite)
}

// observation is what a probe saw; an empty reason means that it passed.
type observation struct {
	reason  model.Reason
	err     error
	message string // where there is no err
	// outcome is decided by the reason if empty.
	outcome model.Outcome
	dials   []model.Dial
	values  map[string]string
	output  string
}

// seen is the observation that err amounts to.
func seen(err error) observation {
	return observation{reason: Classify(err), err: err}
}

// probeFunc makes one observation. The deadline is in ctx.
type probeFunc func(ctx context.Context, e *env, target string) observation

// env is what the probes of one run share.
type env struct {
	targets    *targets.Set
	resolvConf string
	apt        *aptState
	docker     *dockerState
}

func (e *env) resolver() *resolver {
	return &resolver{conf: e.resolvConf, timeout: e.targets.Deadline(model.ProbeDNSA)}
}

func (e *env) dialer() *dialer {
	return &dialer{resolver: e.resolver(), connect: e.targets.Deadline(targets.DeadlineConnect)}
}

func (e *env) close(ctx context.Context) error {
	return errors.Join(e.apt.close(), e.docker.close(ctx))
}

// drainBody reads at most limit bytes and says how many there were.
func drainBody(resp *http.Response, limit int64) (int64, error) {
	return io.Copy(io.Discard, io.LimitReader(resp.Body, limit))
}
