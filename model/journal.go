package model

// Entry is one line of the journal: exactly one of its fields is set. The
// journal is appended to as things are observed, so that a crash loses nothing
// that was already seen; a run is its fold.
type Entry struct {
	Begin  *Begin  `json:"begin,omitempty"`
	Facts  *Facts  `json:"facts,omitempty"`
	Result *Result `json:"result,omitempty"`
	Watch  *Watch  `json:"watch,omitempty"`
	// Inspection comes after the results of a round in which something failed.
	Inspection *Inspection `json:"inspection,omitempty"`
	Timing     *Timing     `json:"timing,omitempty"`
	// Intervention is appended before the change is made.
	Intervention *Intervention `json:"intervention,omitempty"`
	Diagnosis    *Diagnosis    `json:"diagnosis,omitempty"`
	Note         string        `json:"note,omitempty"`
	GuestNote    *GuestNote    `json:"guest_note,omitempty"`
}

// Begin opens a journal.
type Begin struct {
	Schema  string `json:"schema"`
	ID      string `json:"id,omitempty"` // the run's
	Parts   []Part `json:"parts,omitempty"`
	Version string `json:"version"`
	Start   string `json:"start"` // RFC 3339, UTC
	Plan    Plan   `json:"plan"`
}

// Add adds what an entry holds to the run. The run of a session and the one that its
// journal is folded to are both made by it.
func (r *Run) Add(e Entry) {
	switch {
	case e.Facts != nil:
		r.Facts = append(r.Facts, *e.Facts)
	case e.Result != nil:
		r.Results = append(r.Results, *e.Result)
	case e.Watch != nil:
		r.Watches = append(r.Watches, *e.Watch)
	case e.Inspection != nil:
		r.Inspections = append(r.Inspections, *e.Inspection)
	case e.Timing != nil:
		r.Setups = append(r.Setups, *e.Timing)
	case e.Intervention != nil:
		r.Interventions = append(r.Interventions, *e.Intervention)
	case e.Diagnosis != nil:
		r.Diagnosis = *e.Diagnosis
	case e.GuestNote != nil:
		r.GuestNotes = append(r.GuestNotes, *e.GuestNote)
	case e.Note != "":
		r.Notes = append(r.Notes, e.Note)
	}
}
