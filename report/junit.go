package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nestlab/nestlab/model"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string `xml:"name,attr"`
	Tests     int    `xml:"tests,attr"`
	Failures  int    `xml:"failures,attr"`
	Errors    int    `xml:"errors,attr"`
	Skipped   int    `xml:"skipped,attr"`
	Timestamp string `xml:"timestamp,attr,omitempty"`
	// Properties name the run, the same in every suite: JUnit knows none of the whole.
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string      `xml:"classname,attr"`
	Name    string      `xml:"name,attr"`
	Seconds string      `xml:"time,attr"`
	Failure *junitState `xml:"failure,omitempty"`
	Error   *junitState `xml:"error,omitempty"`
	Skipped *junitState `xml:"skipped,omitempty"`
	Out     string      `xml:"system-out,omitempty"`
}

type junitState struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes the baseline as JUnit XML: a suite for each place. Expected
// failures are shown as skipped, as the format has no word for them.
func JUnit(w io.Writer, run model.Run) error {
	all := junitSuites{Name: "nestlab"}
	for _, p := range Places(run) {
		s := junitPlace(run, p)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JUnit XML: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, text); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	return nil
}

func junitPlace(run model.Run, p model.Place) junitSuite {
	s := junitSuite{Name: clean(p.String()), Properties: junitProperties(run)}
	for _, r := range baseline(run) {
		if r.Place != p {
			continue
		}
		if s.Timestamp == "" {
			s.Timestamp = r.Start.UTC().Format(time.RFC3339)
		}
		s.add(r)
	}
	if s.Tests == 0 {
		s.addMissing(run, p)
	}
	return s
}

func junitProperties(run model.Run) []junitProperty {
	if run.Start.IsZero() {
		return nil
	}
	start := junitProperty{"nestlab.start", run.Start.UTC().Format(time.RFC3339)}
	if run.ID == "" {
		return []junitProperty{start}
	}
	return []junitProperty{{"nestlab.run", clean(run.ID)}, start}
}

func (s *junitSuite) add(r model.Result) {
	c := junitCase{
		Class: "nestlab." + clean(r.Environment), Name: clean(r.Probe + " " + r.Target),
		Seconds: strconv.FormatFloat(float64(r.DurationMS)/1000, 'f', 3, 64), Out: cleanLines(r.Detail.Output),
	}
	state := &junitState{Message: outcomeText(r, " "), Type: clean(string(r.Reason)), Text: clean(r.Detail.Message)}
	switch r.Outcome {
	case model.Pass, model.XPass:
	case model.Skip, model.XFail:
		c.Skipped = state
		s.Skipped++
	case model.Fail:
		c.Failure = state
		s.Failures++
	default: // error, and what a newer nestlab may know
		c.Error = state
		s.Errors++
	}
	s.Tests++
	s.Cases = append(s.Cases, c)
}

// addMissing makes a planned place without results visible.
func (s *junitSuite) addMissing(run model.Run, p model.Place) {
	s.Tests = 1
	c := junitCase{Class: "nestlab." + clean(p.Environment), Name: model.ProbeStart, Seconds: "0"}
	if why := skipOf(run, p); why != "" {
		s.Skipped, c.Skipped = 1, &junitState{Message: clean(why)}
	} else {
		s.Errors, c.Error = 1, &junitState{Message: noResults}
	}
	s.Cases = append(s.Cases, c)
}
