package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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

// writeActions tells GitHub Actions of a run: outputs, the job's summary, and an annotation
// for each finding on w.
func writeActions(w io.Writer, run model.Run) error {
	d := run.Diagnosis
	var text strings.Builder
	format, err := report.FindFormat("markdown")
	if err != nil {
		return err
	}
	if err := format.Encode(&text, run); err != nil {
		return err
	}
	summary := text.String()
	if len(summary) > maxSummary {
		summary = strings.ToValidUTF8(summary[:maxSummary], "") + "\n\nThe rest was cut off.\n"
	}
	fix := ""
	if d.Remedy != nil {
		fix = remedy.Text(*d.Remedy)
	}
	outputs := ""
	for _, o := range []struct{ name, value string }{{"verdict", string(d.Verdict)}, {"cause", d.Cause}, {"confidence", string(d.Confidence)}, {"remedy", fix}} {
		outputs += o.name + "=" + report.Line(o.value) + "\n"
	}
	if err := errors.Join(appendTo(actionsSummary, summary), appendTo(actionsOutput, outputs)); err != nil {
		return err
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
