package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// Host is the machine that a session observes and may change: what is nil is not done.
type Host struct {
	// Observe reads the runner's forward chains.
	Observe Observer
	// Capture counts packets on the runner's interfaces while a place is probed.
	Capture Capture
	// Follow follows a place's packets through the runner while it is probed.
	Follow Follow
	// Intervene makes the change that tests a cause.
	Intervene Intervener
	// Commands are those that do by hand on this host what a remedy does, as remedy.Host
	// has them.
	Commands func(ctx context.Context, r model.Remedy) (commands, undo []string, err error)
	// Sweep removes what a killed run left where environments are made, before
	// anything is observed, and says what that was.
	Sweep func(ctx context.Context) ([]string, error)
}

// Session is one run.
type Session struct {
	// ID is the run's identity, where something is given it before the run begins; empty has
	// one made.
	ID string
	// Lanes are started side by side, the environments of one lane one after the
	// other. Those whose set-up times are compared belong in one lane.
	Lanes [][]Environment
	// Targets is the YAML text of the target set, the same for every environment.
	Targets  []byte
	Platform string
	// Retries is number of retries after a transient failure.
	Retries int
	// ProbeTimeout bounds the suite in one environment.
	ProbeTimeout time.Duration
	// StartTimeout bounds the start of one environment as a whole, whatever
	// deadlines it has for its steps; 0 is DefaultStartTimeout.
	StartTimeout time.Duration
	// Turns has environments start one after the other, in all lanes, and those that are
	// Pausers at work one at a time: each is halted but while it is started, restarted
	// or probed.
	Turns bool
	// Together has the lanes probed at the same time in the rounds that test a cause: what
	// the runner's counters gain there is of all of them, and only results are compared.
	Together bool
	// Append writes to the journal.
	Append func(model.Entry) error
	// Observed is told of each entry once it is in the journal; nil for nobody.
	Observed func(model.Entry)
	// Host is the runner itself.
	Host
	// LockTimeout is how long another that changes the runner is waited for, where Intervene
	// is a Holder; 0 refuses at once.
	LockTimeout time.Duration
	// ChangeTimeout bounds the time for which the runner stays changed, whatever the change
	// waits for; 0 is DefaultChangeTimeout.
	ChangeTimeout time.Duration
	// Progress gets a line for each step, and every minute one for what is waited for.
	Progress io.Writer

	pulse  *Pulse // lanes write to Progress side by side
	mu     sync.Mutex
	before error // why something that the environments need did not start
	holds  bool  // nobody else changes the runner
	run    model.Run
	begun  time.Time
	alive  map[model.Place]bool
	// restartedPlaces are the places that a change had restarted: they may be others since.
	restartedPlaces map[model.Place]bool
	proxy           string // by which places are probed just now; empty for none
	// heard are the observations that environments have told of.
	heard map[observed]bool
	noted map[string]bool // what noteOnce has noted
	// working holds the one whose turn it is; halts says how long each Pauser stood still.
	working chan struct{}
	halts   map[model.Place]halted
}

// Run starts, probes, diagnoses and stops everything. The run holds whatever was
// observed, also when the error is not nil.
func (s *Session) Run(ctx context.Context, plan model.Plan, version string) (run model.Run, err error) {
	release, err := s.hold(ctx)
	if err != nil {
		return s.run, err
	}
	defer func() { err = errors.Join(err, release()) }()
	s.begun, s.alive, s.restartedPlaces = time.Now(), map[model.Place]bool{}, map[model.Place]bool{}
	s.heard = map[observed]bool{}
	s.working, s.halts, s.noted = make(chan struct{}, 1), map[model.Place]halted{}, map[string]bool{}
	begin := model.Entry{Begin: &model.Begin{
		Schema: model.Schema, ID: cmp.Or(s.ID, uuid.NewString()), Version: version, Start: s.begun.UTC().Format(time.RFC3339Nano), Plan: plan,
	}}
	s.run = model.Run{}
	if err := s.run.Add(begin); err != nil {
		return s.run, fmt.Errorf("begin the run: %w", err)
	}
	if err := s.Append(begin); err != nil {
		return s.run, fmt.Errorf("open the journal: %w", err)
	}
	defer s.pulse.Beat()()
	s.note(s.before)
	if err := s.failedDaemon(model.Place{Environment: model.EnvRunner}, s.before); err != nil {
		return s.run, err
	}
	s.recover(ctx)
	s.sweep(ctx)
	defer func() { err = errors.Join(err, s.stopAll(ctx)); run = s.run }()
	if err := s.startAll(ctx); err != nil {
		return s.run, err
	}
	if err := s.probeAll(ctx, model.RoundBaseline, nil); err != nil {
		return s.run, err
	}
	err = s.diagnose(ctx)
	return s.run, err
}

// startAll starts every lane; an environment that does not come up is a result.
func (s *Session) startAll(ctx context.Context) error {
	// Not errgroup.WithContext: what is started lives on after the waiting.
	var g errgroup.Group
	for _, lane := range s.Lanes {
		g.Go(func() error {
			for _, env := range lane {
				if err := s.start(ctx, env); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// lost is the one result of an environment that could not be observed.
func lost(p model.Place, round string, reason model.Reason, start time.Time, err error) *model.Result {
	return &model.Result{
		Place: p, Round: round, Probe: model.ProbeStart, Target: p.Environment, Attempt: 1,
		Outcome: model.Error, Reason: reason, Start: start.UTC(), DurationMS: time.Since(start).Milliseconds(),
		Detail: model.Detail{Message: model.Clip(err.Error(), model.MaxMessage)},
	}
}

// stopWithin is how long one environment may take to stop. Each has it for itself: a
// slow one is not to leave the others behind.
const stopWithin = 2 * time.Minute

// stopAll stops the environments in reverse order, on a context that an
// interrupt does not end.
func (s *Session) stopAll(ctx context.Context) error {
	var errs []error
	for _, lane := range s.Lanes {
		for _, env := range slices.Backward(lane) {
			if err := s.stop(ctx, env); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", env.Place(), err))
			}
		}
	}
	return errors.Join(errs...)
}

func (s *Session) stop(ctx context.Context, env Environment) error {
	defer s.pulse.Waiting("stopping %s", env.Place())()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return env.Stop(ctx)
}

// append writes to the journal and to the run that the diagnosis reads, the same to both:
// what is too long is cut, and what has no JSON form is a note. Only a journal that cannot
// be written is an error.
func (s *Session) append(e model.Entry) error {
	e, cut, err := report.Fit(e)
	if err != nil {
		e = model.Entry{Note: model.Clip(err.Error(), model.MaxMessage)}
	}
	entries := []model.Entry{e}
	if cut != "" {
		entries = append(entries, model.Entry{Note: cut})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if err := s.run.Add(e); err != nil {
			return fmt.Errorf("append to the run: %w", err)
		}
		if err := s.Append(e); err != nil {
			return fmt.Errorf("append to the journal: %w", err)
		}
		if s.Observed != nil {
			s.Observed(e)
		}
	}
	return nil
}

// note keeps what went wrong beside the observations in the run.
func (s *Session) note(err error) {
	if err == nil {
		return
	}
	s.say("note: %v", err)
	if err := s.append(model.Entry{Note: model.Clip(err.Error(), model.MaxMessage)}); err != nil {
		s.say("the journal does not take the note: %v", err)
	}
}

func (s *Session) say(format string, args ...any) { s.pulse.Say(format, args...) }

// think does what takes long where there is much to think of, no longer than ctx: what was
// begun goes on to its end, and concerns nobody.
func think(ctx context.Context, what func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		what()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("diagnose: %w", context.Cause(ctx))
	}
}

// diagnose looks for causes and puts each to the test where that is allowed.
func (s *Session) diagnose(ctx context.Context) error {
	var findings []model.Finding
	for {
		var h diagnose.Hypothesis
		var more bool
		run := s.run
		if err := think(ctx, func() { h, more = diagnose.Next(run, findings) }); err != nil {
			return err
		}
		if !more {
			break
		}
		finding, err := s.test(ctx, h)
		if err != nil {
			return err
		}
		findings = append(findings, finding)
	}
	s.nameRules(ctx, findings)
	var d model.Diagnosis
	run := s.run
	if err := think(ctx, func() { d = diagnose.Conclude(run, findings) }); err != nil {
		return err
	}
	if d.Verdict == model.CauseFound {
		s.say("diagnosis: %s %s %s", d.Verdict, d.Cause, d.Confidence)
	} else {
		s.say("diagnosis: %s", d.Verdict)
	}
	return s.append(model.Entry{Diagnosis: &d})
}
