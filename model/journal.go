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
