package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/tail"
)

const (
	// atOnce bounds how many network probes run side by side.
	atOnce = 16
	// grace is what a probe gets after its deadline to put down what it saw.
	grace = 2 * time.Second
	// cleanUp bounds what is done after the last probe.
	cleanUp = 30 * time.Second
)

// Run makes every observation of the suite and hands each to emit as it comes,
// one at a time. It returns an error only if it was called wrongly or could not
// clean up after itself: whatever goes wrong with an observation, a panic and
// an interruption included, is a result.
func Run(ctx context.Context, o Options, emit func(model.Result)) error {
	if err := o.check(); err != nil {
		return err
	}
	r := &runner{o: o, emit: emit, env: &env{
		targets:    o.Targets,
		resolvConf: o.ResolvConf,
		apt:        &aptState{binary: o.AptGet},
		docker:     &dockerState{host: o.DockerHost},
	}}
	bySuite := map[string][]task{}
	for _, t := range o.tasks() {
		bySuite[t.suite] = append(bySuite[t.suite], t)
	}
	// The network first and alone: an apt-get or a pull beside it would make
	// its timings those of a loaded machine.
	r.sideBySide(ctx, bySuite[model.SuiteNetwork])
	for _, t := range bySuite[SuiteInstall] {
		r.attempts(ctx, t)
	}
	for i := range bySuite[model.SuiteDocker] {
		bySuite[model.SuiteDocker][i].without(r.env.docker.absent)
	}
	var group errgroup.Group
	for _, suite := range []string{model.SuitePackages, model.SuiteDocker, model.SuiteMachines} {
		group.Go(func() error {
			for _, t := range bySuite[suite] {
				r.attempts(ctx, t)
			}
			return nil
		})
	}
	waitErr := group.Wait()
	// An interrupted run still cleans up.
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	if err := errors.Join(waitErr, r.env.close(closeCtx)); err != nil {
		return fmt.Errorf("clean up after the probes: %w", err)
	}
	return nil
}

type runner struct {
	o   Options
	env *env

	mu   sync.Mutex
	emit func(model.Result)
}

func (r *runner) sideBySide(ctx context.Context, tasks []task) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, t := range tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r.attempts(ctx, t)
		})
	}
	wg.Wait()
}

// errAgain asks for another attempt.
var errAgain = errors.New("transient")

// attempts observes once, and again while the failure is transient and tries are left.
func (r *runner) attempts(ctx context.Context, t task) {
	attempt := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		attempt++
		result := r.attempt(ctx, t, attempt)
		r.mu.Lock()
		r.emit(result)
		r.mu.Unlock()
		if result.Outcome == model.Fail && Transient(result.Reason) {
			return struct{}{}, errAgain
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxTries(uint(r.o.Retries)+1))
	if attempt == 0 {
		// Interrupted before its turn.
		r.mu.Lock()
		defer r.mu.Unlock()
		r.emit(r.finish(t, 1, time.Now(), interrupted(err)))
	}
}

// attempt makes one observation; a probe that panics or survives its deadline
// still gives a result.
func (r *runner) attempt(ctx context.Context, t task, n int) model.Result {
	begin := time.Now()
	if t.skip != "" {
		return r.finish(t, n, begin, observation{outcome: model.Skip, reason: t.skip, message: t.why})
	}
	if ctx.Err() != nil {
		return r.finish(t, n, begin, interrupted(ctx.Err()))
	}
	probeCtx, cancel := context.WithTimeout(ctx, t.deadline)
	defer cancel()
	done := make(chan observation, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- observation{
					outcome: model.Error, reason: model.ReasonOther,
					message: fmt.Sprintf("the probe panicked: %v", p), output: string(debug.Stack()),
				}
			}
		}()
		done <- t.run(probeCtx, r.env, t.target)
	}()
	over := time.NewTimer(t.deadline + grace)
	defer over.Stop()
	select {
	case o := <-done:
		if ctx.Err() != nil && o.reason != "" {
			o.outcome, o.reason = model.Error, model.Canceled
		}
		return r.finish(t, n, begin, o)
	case <-over.C:
		return r.finish(t, n, begin, observation{
			outcome: model.Error, reason: model.DeadlineExceeded,
			message: fmt.Sprintf("the probe did not stop %s after its deadline of %s", grace, t.deadline),
		})
	}
}

func interrupted(err error) observation {
	return observation{outcome: model.Error, reason: model.Canceled, message: fmt.Sprintf("the run was interrupted: %v", err)}
}

func (r *runner) finish(t task, n int, begin time.Time, o observation) model.Result {
	result := model.Result{
		Place: r.o.Place, Round: r.o.Round, Probe: t.probe, Target: t.name(), Attempt: n,
		Outcome: o.outcome, Reason: o.reason,
		Start: begin.UTC(), DurationMS: time.Since(begin).Milliseconds(),
		Detail: model.Detail{Message: o.message, Dials: o.dials, Values: dropEmpty(o.values), Output: tail.Text(o.output, model.MaxMessage)},
	}
	if o.err != nil {
		result.Detail.Message = o.err.Error()
		if result.Reason == "" {
			result.Reason = Classify(o.err)
		}
	}
	if result.Outcome == "" {
		result.Outcome = model.Pass
		if result.Reason != "" {
			result.Outcome = model.Fail
		}
	}
	r.expect(&result)
	result.Clip()
	return result
}

// expect turns what was to be expected into xfail and its absence into xpass.
func (r *runner) expect(result *model.Result) {
	for _, e := range r.o.Targets.Expect {
		if !e.Matches(r.o.Platform, result.Probe, result.Target) {
			continue
		}
		switch result.Outcome {
		case model.Fail:
			result.Outcome = model.XFail
		case model.Pass:
			result.Outcome = model.XPass
		default:
			continue
		}
		result.Detail.Message = strings.TrimPrefix(result.Detail.Message+"; a failure is expected here: "+e.Why, "; ")
	}
}

// dropEmpty leaves out values that say nothing, but for addresses, whose
// emptiness is the answer.
func dropEmpty(values map[string]string) map[string]string {
	for k, v := range values {
		if v == "" && k != "addresses" {
			delete(values, k)
		}
	}
	return values
}
