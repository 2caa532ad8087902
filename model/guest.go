package model

// GuestEntry is one line of what the probing process prints in an environment: all that
// an environment may say. Exactly one of its fields is set. Counters of the runner,
// changes to it and conclusions have no place in it: those are the host's own.
type GuestEntry struct {
	Facts      *Facts
	Result     *Result
	Inspection *Inspection
	Timing     *Timing
	Note       string
}

// GuestNote is what an environment said beside its observations. It is evidence of
// nothing.
type GuestNote struct {
	Place
	Note string `json:"note"`
}

// Of is the entry of the environment that the host started, in the round that the host
// is in, whatever the environment says of the two.
func (g GuestEntry) Of(place Place, round string) Entry {
	switch {
	case g.Facts != nil:
		g.Facts.Place, g.Facts.Round = place, ""
		if round != RoundBaseline {
			g.Facts.Round = round
		}
	case g.Result != nil:
		g.Result.Place, g.Result.Round = place, round
		g.Result.Clip()
	case g.Inspection != nil:
		g.Inspection.Place, g.Inspection.Round = place, round
	case g.Timing != nil:
		g.Timing.Place = place
		g.Timing.Note = Clip(g.Timing.Note, MaxValue)
	default:
		return Entry{GuestNote: &GuestNote{Place: place, Note: Clip(g.Note, MaxMessage)}}
	}
	return Entry{Facts: g.Facts, Result: g.Result, Inspection: g.Inspection, Timing: g.Timing}
}
