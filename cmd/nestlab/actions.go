package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nestlab/nestlab/host/doctor"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/report"
)

// The variables by which GitHub Actions names its files.
const (
	actionsOutput  = "GITHUB_OUTPUT"
	actionsSummary = "GITHUB_STEP_SUMMARY"
)

// maxSummary is what a job summary takes of one step, less what ends it.
const maxSummary = 1<<20 - 100

// told is what Actions is told of: this host as it was found and as it is now, and what
// was changed in between, by a finding or before there was one.
type told struct {
	found, now model.Run
	fixed      []doctor.Fixed
	accepted   []model.Remedy
}

// change is one change of the host, with the cause that it fixes; empty for none.
type change struct{ text, cause, why string }

// changes lists them. What was accepted ahead fixes what failed on its bridge, if less does now.
func (t told) changes() (all []change) {
	for _, r := range t.accepted {
		c := change{text: remedy.Text(r), why: "ahead of what may come: nothing fails there for the want of it"}
		at := []string{model.Place{Environment: model.EnvBridge, Name: r.Parameters["bridge"]}.String()}
		if before, now := doctor.Failing(t.found, at), doctor.Failing(t.now, at); now < before {
			c.cause = t.found.Diagnosis.Cause
			c.why = fmt.Sprintf("fixes %s: of the probes on %s %d failed before, and %d fail now", c.cause, at[0], before, now)
		}
		all = append(all, c)
	}
	for _, f := range t.fixed {
		c := change{text: remedy.Text(f.Remedy), cause: f.Cause, why: "fixes " + f.Cause}
		if doctor.Failing(t.now, f.Environments) > 0 {
			c.why = healed(f, t.now)
		}
		all = append(all, c)
	}
	return all
}

// summary is the job's summary: what was changed and why, what is so now, what was found.
func (t told) summary() (string, error) {
	var text strings.Builder
	changes := t.changes()
	if len(changes) > 0 {
		text.WriteString("# nestlab changed this runner\n\n| change | why |\n| --- | --- |\n")
	}
	for _, c := range changes {
		fmt.Fprintf(&text, "| `%s` | %s |\n", c.text, c.why)
	}
	text.WriteString("\n")
	format, err := report.FindFormat("markdown")
	if err != nil {
		return "", err
	}
	if err := format.Encode(&text, t.now); err != nil {
		return "", err
	}
	if t.now.ID != t.found.ID {
		text.WriteString("\n---\n\nAs it was found:\n\n")
		if err := format.Encode(&text, t.found); err != nil {
			return "", err
		}
	}
	if text.Len() > maxSummary {
		return strings.ToValidUTF8(text.String()[:maxSummary], "") + "\n\nThe rest was cut off.\n", nil
	}
	return text.String(), nil
}

// writeActions tells GitHub Actions: outputs, the job's summary, and an annotation for each
// fix and each finding on w.
func writeActions(w io.Writer, t told) error {
	d := t.now.Diagnosis
	summary, err := t.summary()
	if err != nil {
		return err
	}
	fix := ""
	if d.Remedy != nil {
		fix = remedy.Text(*d.Remedy)
	}
	var changed []string
	for _, c := range t.changes() {
		changed = append(changed, c.text)
	}
	outputs := ""
	for _, o := range []struct{ name, value string }{{"verdict", string(d.Verdict)}, {"cause", d.Cause}, {"confidence", string(d.Confidence)}, {"remedy", fix}, {"changed", strings.Join(changed, "; ")}} {
		outputs += o.name + "=" + report.Line(o.value) + "\n"
	}
	if err := errors.Join(appendTo(actionsSummary, summary), appendTo(actionsOutput, outputs)); err != nil {
		return err
	}
	for _, c := range t.changes() {
		if c.cause == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "::notice title=%s::%s\n", property(c.cause), message(c.text+" "+c.why)); err != nil {
			return err
		}
	}
	for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
		if f.Cause == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "::error title=%s::%s\n", property(f.Cause), message(annotation(f))); err != nil {
			return err
		}
	}
	if d.Verdict == model.Undetermined {
		_, err = fmt.Fprintln(w, "::warning title=undetermined::something fails, and no cause is known: see the job's summary")
	}
	return err
}

// annotation is a finding in one line.
func annotation(f model.Finding) string {
	text := fmt.Sprintf("%s (%s). Affected: %s.", f.Title, f.Confidence, strings.Join(f.Environments, ", "))
	if f.Remedy != nil {
		text += " Fix: " + remedy.Text(*f.Remedy) + "."
	}
	return text
}

// appendTo appends to a file that Actions names; without a name there is nobody to tell.
func appendTo(variable, text string) (err error) {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("write what $%s is for: %w", variable, err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// message and property escape what stands in a command of Actions.
func message(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(text))
}
