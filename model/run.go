package model

import (
	"maps"
	"net/netip"
	"time"
)

// Schema names the version of the run's JSON form.
const Schema = "nestlab.run/v1"

// Run is one invocation: what was planned, read, observed and concluded.
type Run struct {
	Schema string `json:"schema"`
	// ID is this run's alone, a random UUID; empty in files that were written before
	// runs had one. Parts are the runs that this one was merged of.
	ID      string    `json:"id,omitempty"`
	Parts   []Part    `json:"parts,omitempty"`
	Version string    `json:"version"` // of nestlab
	Start   time.Time `json:"start"`
	Plan    Plan      `json:"plan"`
	// Facts hold one entry for each place of the plan that could be asked.
	Facts   []Facts  `json:"facts"`
	Results []Result `json:"results"`
	Watches []Watch  `json:"watches,omitempty"`
	// Inspections are what places see of their own network when a probe fails there.
	Inspections []Inspection `json:"inspections,omitempty"`
	// Daemons are those that did not start, or died, while nestlab waited for them.
	Daemons []Daemon `json:"daemons,omitempty"`
	Setups  []Timing `json:"setups,omitempty"`
	// Interventions are the changes that were made to test causes, in their order.
	Interventions []Intervention `json:"interventions,omitempty"`
	Diagnosis     Diagnosis      `json:"diagnosis"`
	// Notes are things that went wrong around the observations, such as a
	// journal that ends in the middle of a line.
	Notes []string `json:"notes,omitempty"`
	// GuestNotes are what environments said that is no observation: evidence of nothing.
	GuestNotes []GuestNote `json:"guest_notes,omitempty"`
}

// Part names a run that was merged into another.
type Part struct {
	ID      string    `json:"id,omitempty"`
	Command string    `json:"command"`
	Start   time.Time `json:"start"`
}

// Plan is what a run sets out to do.
type Plan struct {
	// Command is what was asked for: simulate, build-time, runtime, compare, vm, host-step.
	Command string `json:"command"`
	// Internet is live or simulated, Targets the name of the target set.
	Internet string `json:"internet"`
	Targets  string `json:"targets"`
	Platform string `json:"platform"`
	// Order is the order of start of the daemons in a simulated runner:
	// docker-first or lxd-first.
	Order string `json:"order,omitempty"`
	// DockerFrom is the suite of Debian that the simulated runner's Docker comes
	// from; empty for the runner's own. What runs there is in Facts.
	DockerFrom string `json:"docker_from,omitempty"`
	// IPv6 says that a simulated runner and its internet have IPv6 that works.
	IPv6   bool     `json:"ipv6,omitempty"`
	Faults []string `json:"faults,omitempty"`
	// Intervene says whether a suspected cause may be proven by changing it.
	Intervene bool       `json:"intervene"`
	Items     []PlanItem `json:"items"`
	// Bridges are those of a host as it is, with what is known of them beforehand.
	Bridges []Bridge `json:"bridges,omitempty"`
}

// Bridge is a bridge of the runner, with what its program and its settings say of it.
type Bridge struct {
	Name string `json:"name"`
	// Program is what runs it, such as Docker; empty for nobody known.
	Program string `json:"program,omitempty"`
	// Lost is the IPv4 address that it is to have, as it has none.
	Lost netip.Prefix `json:"lost,omitzero"`
	// PortDelay is for how many seconds a new port takes no packets (STP).
	PortDelay float64 `json:"port_delay,omitempty"`
}

// PlanItem is one place and what is to be probed in it.
type PlanItem struct {
	Place
	Suites []string `json:"suites"`
	// Skip says why the item is not run; empty where it is.
	Skip string `json:"skip,omitempty"`
}

// Timing is how long one step of a set-up took.
type Timing struct {
	Place
	// Step is one of the Step constants.
	Step       string    `json:"step"`
	Start      time.Time `json:"start"`
	DurationMS int64     `json:"duration_ms"`
	// Note qualifies the figure, such as "cached".
	Note string `json:"note,omitempty"`
}

// The steps whose durations tables compare.
const (
	StepImageBuild     = "image-build"     // docker build, or the engine's build of the image
	StepStart          = "start"           // until the environment takes commands
	StepInstall        = "install"         // Docker installed at run time
	StepDaemonReady    = "daemon-ready"    // from the daemon's start until its API answers
	StepFirstContainer = "first-container" // from then until a first container has run
	StepTotal          = "total"           // all of it
)

// Steps lists the steps in table order.
func Steps() []string {
	return []string{StepImageBuild, StepStart, StepInstall, StepDaemonReady, StepFirstContainer, StepTotal}
}

// Verdict is what a diagnosis comes to.
type Verdict string

// The verdicts.
const (
	Healthy      Verdict = "healthy"      // nothing failed that was not expected to
	CauseFound   Verdict = "cause"        // something failed and a rule names why
	Undetermined Verdict = "undetermined" // something failed and no rule fits
)

// Confidence is how sure a cause is.
type Confidence string

// The confidences.
const (
	Proven    Confidence = "proven"    // the outcome followed the intervention both ways
	Supported Confidence = "supported" // evidence fits, no intervention was made
	RuledOut  Confidence = "ruled-out" // evidence or the intervention contradicts it
	Unsure    Confidence = "undetermined"
)

// Diagnosis is what the observations mean.
type Diagnosis struct {
	Verdict Verdict `json:"verdict"`
	// Summary is the whole in plain sentences.
	Summary string `json:"summary"`
	// Finding is the first cause; its Cause is empty where there is none.
	Finding
	// Further are causes found after the first.
	Further []Finding `json:"further,omitempty"`
	// LastWords are what daemons that failed said of it, whether a cause is known or not.
	LastWords []LastWords `json:"last_words,omitempty"`
	// Unexplained is what failed besides, for no cause that was found.
	Unexplained []Evidence `json:"unexplained,omitempty"`
	// RuledOut are causes that were considered and do not hold.
	RuledOut []Refuted `json:"ruled_out"`
	// Skipped are the bridges that were not looked at.
	Skipped []string `json:"skipped,omitempty"`
	// Notes are what is no cause of a failure here, and may be one elsewhere.
	Notes []string `json:"notes,omitempty"`
}

// Finding is one cause and what it rests on.
type Finding struct {
	Cause string `json:"cause"`
	// Title is the cause in plain words, for a headline; empty in files of earlier versions.
	Title        string     `json:"title,omitempty"`
	Confidence   Confidence `json:"confidence"`
	Environments []string   `json:"environments,omitempty"`
	Evidence     []Evidence `json:"evidence"`
	// Remedy is the narrowest known fix, nil where none is known.
	Remedy *Remedy `json:"remedy,omitempty"`
	// Proof is nil where no intervention was made.
	Proof *Proof `json:"proof,omitempty"`
}

// Evidence is one observation that a finding rests on.
type Evidence struct {
	// Refs point into the run: results/…, facts/…, watches/….
	Refs []string `json:"refs"`
	// Loss is set where the evidence is where packets were last seen.
	Loss *Loss `json:"loss,omitempty"`
	// Setting is set where the evidence is a setting of dockerd's.
	Setting *DockerSetting `json:"setting,omitempty"`
	// Text is the same as a sentence, for people alone: nothing is decided by it.
	Text string `json:"text"`
}

// Refuted is a cause that was considered and does not hold.
type Refuted struct {
	Cause string   `json:"cause"`
	Why   string   `json:"why"`
	Refs  []string `json:"refs,omitempty"`
}

// Remedy is a named reversible change.
type Remedy struct {
	Name string `json:"name"`
	// Parameters make it concrete, such as bridge=lxdbr0.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Commands do by hand what the remedy does.
	Commands []string `json:"commands"`
	// Why says what it costs and why it is the narrowest.
	Why string `json:"why"`
}

// Proof is an intervention and what followed.
type Proof struct {
	Remedy Remedy  `json:"remedy"`
	Rounds []Round `json:"rounds"`
	Holds  bool    `json:"holds"`
	// Text is the same as a sentence, for people alone.
	Text string `json:"text"`
}

// Intervention is one change that was made, and reverted, to test a cause.
type Intervention struct {
	Cause  string `json:"cause"`
	Remedy Remedy `json:"remedy"`
	// Intervened and Reverted name the rounds of the results with the change and
	// without it again: RoundIntervened and RoundReverted for the first one.
	Intervened string `json:"intervened"`
	Reverted   string `json:"reverted"`
	// Base names the round that the other two are compared with; empty means
	// RoundBaseline. Under are remedies of causes found before that were in
	// place meanwhile: they are what made this cause visible.
	Base  string   `json:"base,omitempty"`
	Under []Remedy `json:"under,omitempty"`
}

// From is the round that the intervention's own rounds are compared with.
func (i Intervention) From() string {
	if i.Base == "" {
		return RoundBaseline
	}
	return i.Base
}

// Round is one of the three looks of a proof.
type Round struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Passed  int     `json:"passed"`
	Failed  int     `json:"failed"`
	// Refs are the results that were counted.
	Refs []string `json:"refs"`
}

// Equal reports whether two remedies change the same thing.
func (r Remedy) Equal(other Remedy) bool {
	return r.Name == other.Name && maps.Equal(r.Parameters, other.Parameters)
}
