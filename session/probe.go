package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/tail"
)

// probeAll probes one environment after the other: what the runner's counters
// gain meanwhile belongs to that environment. Only nil means all of them.
func (s *Session) probeAll(ctx context.Context, round string, only []model.Place) error {
	if s.Together && round != model.RoundBaseline {
		var g errgroup.Group
		for _, lane := range s.Lanes {
			g.Go(func() error { return s.probeLane(ctx, lane, round, only) })
		}
		return g.Wait()
	}
	for _, lane := range s.Lanes {
		if err := s.probeLane(ctx, lane, round, only); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) probeLane(ctx context.Context, lane []Environment, round string, only []model.Place) error {
	for _, env := range lane {
		if only != nil && !slices.Contains(only, env.Place()) || !s.alive[env.Place()] {
			continue
		}
		if err := s.probe(ctx, env, round); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) probe(ctx context.Context, env Environment, round string) error {
	place, begin := env.Place(), time.Now()
	s.say("%s: probing (%s)", place, round)
	defer s.pause(ctx, env) // one that was late to go on too
	if err := s.resume(ctx, env); err != nil {
		return s.gone(ctx, place, round, begin, err)
	}
	begin = time.Now()
	defer s.pulse.Waiting("probing %s (%s)", place, round)()
	watch := model.Watch{Place: place, Round: round, Before: s.observe(ctx)}
	stop, follower := s.capture(ctx), s.follow(ctx, place)
	count, err := s.suite(ctx, env, round)
	watch.Sightings = s.sightings(ctx, follower, place, round)
	watch.After = s.observe(ctx)
	watch.Hops = s.hops(stop, place, round)
	if s.Observe != nil {
		s.note(s.append(model.Entry{Watch: &watch}))
	}
	if err != nil || ctx.Err() != nil {
		return s.gone(ctx, place, round, begin, err)
	}
	s.say("%s: %d results in %.1f s", place, count, time.Since(begin).Seconds())
	return nil
}

// gone journals that a place was lost, unless all of the run was given up.
func (s *Session) gone(ctx context.Context, place model.Place, round string, begin time.Time, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("probe %s: %w", place, context.Cause(ctx))
	}
	s.say("%s: lost while probing: %v", place, err)
	return s.append(model.Entry{Result: lost(place, round, model.Lost, begin, err)})
}

func (s *Session) observe(ctx context.Context) []model.ForwardChain {
	if s.Observe == nil {
		return nil
	}
	chains, errs := s.Observe(ctx)
	for _, e := range errs {
		s.say("forward chains: %s", e)
	}
	return chains
}

// suite runs nestlab probe inside and journals the lines as they come.
func (s *Session) suite(ctx context.Context, env Environment, round string) (int, error) {
	// The process inside keeps the limit itself and says what it cut off; this one
	// is for a process that does not even do that.
	ctx, cancel := context.WithTimeout(ctx, s.ProbeTimeout+s.grace())
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	stderr := tail.New(model.MaxMessage)
	out, in := io.Pipe()
	heard := &collector{Session: s, place: env.Place(), round: round}
	heard.asked, _ = as[Offered](env)
	done := make(chan error, 1)
	go func() {
		err := heard.collect(out)
		if err != nil {
			giveUp(err) // what it says from here on nobody hears
		}
		// The environment must not block on a pipe that nobody reads.
		_, drained := io.Copy(io.Discard, out)
		done <- errors.Join(err, drained)
	}()
	code, err := env.Exec(ctx, Command{
		Args: s.probeArgs(env, round), Stdin: bytes.NewReader(s.Targets), Stdout: in, Stderr: stderr,
	})
	collected := errors.Join(in.Close(), <-done)
	switch {
	case collected != nil:
		err = fmt.Errorf("%w; %d results were kept", collected, heard.results)
	case err != nil:
		err = fmt.Errorf("%w; %d results were kept", err, heard.results)
	case code != 0:
		err = fmt.Errorf("nestlab probe ended with %d in %s: %s", code, env.Place(), stderr)
	}
	return heard.results, err
}

// grace is what a suite's clean-up may take past its limit.
func (s *Session) grace() time.Duration { return min(45*time.Second, s.ProbeTimeout) }

func (s *Session) probeArgs(env Environment, round string) []string {
	place := env.Place()
	args := []string{
		"probe", "--environment", place.Environment, "--round", round, "--platform", s.Platform,
		"--targets", "-", "--retries", strconv.Itoa(s.Retries), "--timeout", s.ProbeTimeout.String(),
	}
	if place.Name != "" {
		args = append(args, "--name", place.Name)
	}
	if place.Setup != "" {
		args = append(args, "--setup", place.Setup)
	}
	if place.Scenario != "" {
		args = append(args, "--scenario", place.Scenario)
	}
	for _, suite := range env.Suites() {
		args = append(args, "--suite", suite)
	}
	if s.proxy != "" {
		args = append(args, "--proxy", s.proxy)
	}
	if round != model.RoundBaseline && !s.restartedPlaces[place] {
		args = append(args, "--no-facts")
	}
	if a, ok := as[Argued](env); ok {
		args = append(args, a.ProbeArguments(round)...)
	}
	return args
}
