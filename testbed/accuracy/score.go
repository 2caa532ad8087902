package accuracy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// Scored is a case and what was said about it.
type Scored struct {
	Measured
	// Run and Start are the identity of the run and when it began; zero where there is none.
	Run     string        `json:"run,omitempty"`
	Start   time.Time     `json:"start,omitzero"`
	Kind    string        `json:"kind"`
	Verdict model.Verdict `json:"verdict"`
	// Named are the causes that the diagnosis names, the first one first.
	Named []Named `json:"named"`
	// Right says that the first cause is one of those expected; of a healthy
	// case, that none was named; of a public or blind one, that what its packets end by was named as
	// well. All says that every one was named, and no other.
	Right bool `json:"right"`
	All   bool `json:"all"`
	// False are the causes named that were not there.
	False []string `json:"false"`
}

// Named is one cause of a diagnosis.
type Named struct {
	Cause      string           `json:"cause"`
	Confidence model.Confidence `json:"confidence"`
}

// Score compares what a diagnosis says with what was broken.
func Score(m Measured, d model.Diagnosis) Scored {
	s := Scored{Measured: m, Kind: m.Kind(), Verdict: d.Verdict, Named: []Named{}, False: []string{}}
	for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
		if f.Cause == "" || s.names(f.Cause) {
			continue
		}
		s.Named = append(s.Named, Named{Cause: f.Cause, Confidence: f.Confidence})
		if !slices.Contains(m.Expect, f.Cause) {
			s.False = append(s.False, f.Cause)
		}
	}
	every := !slices.ContainsFunc(m.Expect, func(e string) bool { return !s.names(e) })
	switch s.Kind {
	case Public, Blind:
		s.Right = s.publicRight(d)
		every = s.Right // one of those expected is enough
	case Healthy:
		s.Right = d.Verdict == model.Healthy
	default:
		s.Right = len(s.Named) > 0 && slices.Contains(m.Expect, s.Named[0].Cause)
	}
	s.All = s.Right && every && len(s.False) == 0
	return s
}

func (s Scored) names(cause string) bool {
	return slices.ContainsFunc(s.Named, func(n Named) bool { return n.Cause == cause })
}

// first is how the confusion matrix calls what was said.
func (s Scored) first() string {
	if len(s.Named) > 0 {
		return s.Named[0].Cause
	}
	if s.Verdict == "" {
		return "no diagnosis"
	}
	return string(s.Verdict)
}

// A Diagnoser says what is wrong with a run.
type Diagnoser func(model.Run) model.Diagnosis

// AsRecorded is what was said when the run was made.
func AsRecorded(run model.Run) model.Diagnosis { return run.Diagnosis }

// Load scores every case that is kept in a directory, in the order of Cases.
func Load(dir string, diagnose Diagnoser) ([]Scored, error) {
	files, err := filepath.Glob(filepath.Join(dir, CasesDir, "*", CaseFile))
	if err != nil {
		return nil, fmt.Errorf("look for cases in %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no %s with a %s: give what nestlab accuracy wrote", dir, CasesDir, CaseFile)
	}
	var all []Scored
	for _, file := range files {
		s, err := load(file, diagnose)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		all = append(all, s)
	}
	rank := map[string]int{}
	for i, c := range append(Cases(), EmulatedCases()...) {
		rank[c.Name] = i
	}
	slices.SortStableFunc(all, func(a, b Scored) int { return rank[a.Name] - rank[b.Name] })
	return all, nil
}

func load(file string, diagnose Diagnoser) (Scored, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Scored{}, err
	}
	var m Measured
	if err := json.Unmarshal(text, &m); err != nil {
		return Scored{}, err
	}
	run, err := os.Open(filepath.Join(filepath.Dir(file), model.RunFile))
	if errors.Is(err, fs.ErrNotExist) { // it ended before there was one: m.Error says why
		return Score(m, model.Diagnosis{}), nil
	}
	if err != nil {
		return Scored{}, err
	}
	decoded, err := report.Decode(run)
	if err := errors.Join(err, run.Close()); err != nil {
		return Scored{}, err
	}
	s := Score(m, diagnose(decoded))
	s.Run, s.Start = decoded.ID, decoded.Start
	return s, nil
}
