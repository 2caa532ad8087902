package model

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

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
	// Daemon comes before the result of the environment that did not start for it.
	Daemon *Daemon `json:"daemon,omitempty"`
	Timing *Timing `json:"timing,omitempty"`
	// Intervention is appended before the change is made.
	Intervention *Intervention `json:"intervention,omitempty"`
	Diagnosis    *Diagnosis    `json:"diagnosis,omitempty"`
	Note         string        `json:"note,omitempty"`
	GuestNote    *GuestNote    `json:"guest_note,omitempty"`
	// Labels come after all else, from outside: what is observed must not know them.
	Labels *Labels `json:"labels,omitempty"`
}

// Labels say of a run that is over what nobody in it was told.
type Labels struct {
	// Faults are what was broken on purpose.
	Faults []string `json:"faults"`
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

// ErrNotOne says that an entry is of none, or of several, of the kinds that this
// version knows.
var ErrNotOne = errors.New("it holds none or several of the kinds of entries that this version knows")

// Check returns ErrNotOne unless exactly one field of the entry is set.
func (e Entry) Check() error {
	set := 0
	for v, i := reflect.ValueOf(e), 0; i < v.NumField(); i++ {
		if !v.Field(i).IsZero() {
			set++
		}
	}
	if set != 1 {
		return ErrNotOne
	}
	return nil
}

// Add adds what an entry holds to the run. Every run is made by it: a session's, and the
// one that a journal is folded to. The error says what of the entry could not be taken.
func (r *Run) Add(e Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	switch {
	case e.Begin != nil:
		return r.begin(*e.Begin)
	case e.Facts != nil:
		r.Facts = append(r.Facts, *e.Facts)
	case e.Result != nil:
		r.Results = append(r.Results, *e.Result)
	case e.Watch != nil:
		r.Watches = append(r.Watches, *e.Watch)
	case e.Inspection != nil:
		r.Inspections = append(r.Inspections, *e.Inspection)
	case e.Daemon != nil:
		r.Daemons = append(r.Daemons, *e.Daemon)
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
	case e.Labels != nil:
		r.Plan.Faults = append(r.Plan.Faults, e.Labels.Faults...)
	default:
		return fmt.Errorf("add an entry to the run: it is of a kind that Run.Add lacks")
	}
	return nil
}

func (r *Run) begin(b Begin) error {
	start, err := time.Parse(time.RFC3339, b.Start)
	r.Schema, r.ID, r.Parts, r.Version, r.Plan, r.Start = b.Schema, b.ID, b.Parts, b.Version, b.Plan, start.UTC()
	if err != nil {
		return fmt.Errorf("read the start of the run: %w", err)
	}
	return nil
}

// Entries lists what a journal of the run holds: added in their order to an empty run
// they make it again.
func (r Run) Entries() []Entry {
	entries := []Entry{{Begin: &Begin{
		Schema: r.Schema, ID: r.ID, Parts: r.Parts, Version: r.Version, Start: r.Start.UTC().Format(time.RFC3339Nano), Plan: r.Plan,
	}}}
	for i := range r.Facts {
		entries = append(entries, Entry{Facts: &r.Facts[i]})
	}
	for i := range r.Results {
		entries = append(entries, Entry{Result: &r.Results[i]})
	}
	for i := range r.Watches {
		entries = append(entries, Entry{Watch: &r.Watches[i]})
	}
	for i := range r.Inspections {
		entries = append(entries, Entry{Inspection: &r.Inspections[i]})
	}
	for i := range r.Daemons {
		entries = append(entries, Entry{Daemon: &r.Daemons[i]})
	}
	for i := range r.Setups {
		entries = append(entries, Entry{Timing: &r.Setups[i]})
	}
	for _, note := range r.Notes {
		entries = append(entries, Entry{Note: note})
	}
	for i := range r.GuestNotes {
		entries = append(entries, Entry{GuestNote: &r.GuestNotes[i]})
	}
	for i := range r.Interventions {
		entries = append(entries, Entry{Intervention: &r.Interventions[i]})
	}
	if r.Diagnosis.Verdict != "" {
		entries = append(entries, Entry{Diagnosis: &r.Diagnosis})
	}
	return entries
}
