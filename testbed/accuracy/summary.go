package accuracy

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/nestlab/nestlab/model"
)

// Summary is what all cases come to.
type Summary struct {
	// Singles are the cases with one thing broken, SinglesRight those whose first
	// cause is it, SinglesProven those of them in which it was proven.
	Singles       int `json:"singles"`
	SinglesRight  int `json:"singles_right"`
	SinglesProven int `json:"singles_proven"`
	// SinglesProvable are those right ones that an intervention is possible for.
	SinglesProvable int     `json:"singles_provable"`
	RightShare      float64 `json:"right_share"`
	// Undetermined are the singles without a named cause, Wrong those with a
	// first cause that was not there.
	Undetermined int `json:"undetermined"`
	Wrong        int `json:"wrong"`
	// Public are the cases of public reports, Blind those made by somebody who did not know
	// the rules.
	Public Tally `json:"public"`
	Blind  Tally `json:"blind"`
	// HealthyFalse are the healthy cases in which something was named.
	Healthy      int `json:"healthy"`
	HealthyFalse int `json:"healthy_false"`
	// PairsFirst are the pairs whose first cause is right, PairsBoth those of
	// which both were named.
	Pairs          int     `json:"pairs"`
	PairsFirst     int     `json:"pairs_first"`
	PairsBoth      int     `json:"pairs_both"`
	PairsBothShare float64 `json:"pairs_both_share"`
	// FalseCauses counts the causes named, first or further, that were not there.
	FalseCauses int `json:"false_causes"`
	// Skipped are the cases that this machine could not be broken for.
	Skipped int `json:"skipped"`
	// MeanSeconds is the mean time to a diagnosis.
	MeanSeconds float64 `json:"mean_seconds"`
	// Confusion counts, for what was broken alone, what was named first.
	Confusion map[string]map[string]int `json:"confusion"`
}

// Tally counts cases that others made. Right are those whose first finding is right, Proven
// those of them that were proven, Undetermined those without a cause, and WrongProven those
// that were wrong and proven.
type Tally struct {
	Cases        int `json:"cases"`
	Right        int `json:"right"`
	Proven       int `json:"proven"`
	Undetermined int `json:"undetermined"`
	WrongProven  int `json:"wrong_proven"`
}

// Summarize adds the cases up.
func Summarize(all []Scored) Summary {
	s := Summary{Confusion: map[string]map[string]int{}}
	seconds := 0.0
	for _, c := range all {
		if c.Skipped != "" {
			s.Skipped++
			continue
		}
		seconds += c.Seconds
		s.FalseCauses += len(c.False)
		switch c.Kind {
		case Healthy:
			s.Healthy++
			s.HealthyFalse += count(len(c.Named) > 0)
			s.confuse(Healthy, c.first())
		case Public:
			s.Public.add(c)
		case Blind:
			s.Blind.add(c)
		case Single:
			s.single(c)
		case Pair:
			s.Pairs++
			s.PairsFirst += count(c.Right)
			s.PairsBoth += count(c.names(c.Expect[0]) && c.names(c.Expect[1]))
		}
	}
	s.RightShare = share(s.SinglesRight, s.Singles)
	s.PairsBothShare = share(s.PairsBoth, s.Pairs)
	if n := len(all) - s.Skipped; n > 0 {
		s.MeanSeconds = seconds / float64(n)
	}
	return s
}

func (s *Summary) single(c Scored) {
	s.Singles++
	s.confuse(c.Expect[0], c.first())
	switch {
	case c.Right:
		s.SinglesRight++
		s.SinglesProven += count(c.Named[0].Confidence == model.Proven)
		s.SinglesProvable += count(NoIntervention()[c.Expect[0]] == "")
	case len(c.Named) > 0:
		s.Wrong++
	default:
		s.Undetermined++
	}
}

func (t *Tally) add(c Scored) {
	t.Cases++
	proven := len(c.Named) > 0 && c.Named[0].Confidence == model.Proven
	t.Right += count(c.Right)
	t.Proven += count(c.Right && proven)
	t.WrongProven += count(!c.Right && proven)
	t.Undetermined += count(!c.Right && c.Verdict != model.Healthy && len(c.Named) == 0)
}

func (s *Summary) confuse(broken, named string) {
	if s.Confusion[broken] == nil {
		s.Confusion[broken] = map[string]int{}
	}
	s.Confusion[broken][named]++
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// share is part of whole, 0 of nothing.
func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// Write writes cases and summary as JSON.
func Write(w io.Writer, all []Scored) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		Summary Summary  `json:"summary"`
		Cases   []Scored `json:"cases"`
	}{Summarize(all), all})
	if err != nil {
		return fmt.Errorf("write the accuracy: %w", err)
	}
	return nil
}
