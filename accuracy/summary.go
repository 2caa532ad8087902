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
	// Public are the cases of public reports, PublicRight those whose first finding is
	// right, PublicProven those of them that were proven, PublicUndetermined those without a
	// cause, and PublicWrongProven those that were wrong and proven.
	Public             int `json:"public"`
	PublicRight        int `json:"public_right"`
	PublicProven       int `json:"public_proven"`
	PublicUndetermined int `json:"public_undetermined"`
	PublicWrongProven  int `json:"public_wrong_proven"`
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
			s.public(c)
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

func (s *Summary) public(c Scored) {
	s.Public++
	proven := len(c.Named) > 0 && c.Named[0].Confidence == model.Proven
	s.PublicRight += count(c.Right)
	s.PublicProven += count(c.Right && proven)
	s.PublicWrongProven += count(!c.Right && proven)
	s.PublicUndetermined += count(!c.Right && len(c.Named) == 0)
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
