package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
)

// verdicts say of each "PROBE TARGET" whether it worked.
type verdicts map[string]bool

// condition is a state of the network, and which probes it makes fail: every run
// is held to it, so that nothing is fast by not looking.
type condition struct {
	name  string
	fails []string
}

// The simulated internet never answers a ping.
var (
	healthy = condition{"healthy", []string{model.ProbeICMP}}
	dropped = condition{"TCP dropped", []string{
		model.ProbeICMP, model.ProbeTCP, model.ProbeFirst, model.ProbeHTTP, model.ProbeHTTPS, model.ProbePathMTU,
	}}
)

// verify holds what a run saw to the suite's plan and to the condition.
func (c condition) verify(got verdicts) error {
	set, err := targets.Builtin(targets.Simulated)
	if err != nil {
		return err
	}
	plan, err := probe.Plan(probe.Options{
		Place: model.Place{Environment: model.EnvRunner}, Targets: set, Suites: []string{model.SuiteNetwork},
	})
	if err != nil {
		return err
	}
	var errs []error
	left := len(got)
	for _, p := range plan {
		if p.Suite != model.SuiteNetwork {
			continue
		}
		name := p.Probe + " " + p.Target
		worked, ok := got[name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s was not checked", name))
			continue
		}
		left--
		if want := !slices.Contains(c.fails, p.Probe); worked != want {
			errs = append(errs, fmt.Errorf("%s worked: %t, and should: %t", name, worked, want))
		}
	}
	if left != 0 {
		errs = append(errs, fmt.Errorf("%d checks are not in the suite", left))
	}
	if len(errs) > 0 {
		return fmt.Errorf("what was checked is not the suite's plan under %q: %w", c.name, errors.Join(errs...))
	}
	return nil
}

// readJournal takes the verdicts from the lines of nestlab probe.
func readJournal(text []byte) (verdicts, error) {
	got := verdicts{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for decoder.More() {
		var e model.Entry
		if err := decoder.Decode(&e); err != nil {
			return nil, fmt.Errorf("read what nestlab probe wrote: %w", err)
		}
		if e.Result == nil || e.Result.Outcome == model.Skip {
			continue
		}
		got[e.Result.Probe+" "+e.Result.Target] = e.Result.Outcome == model.Pass || e.Result.Outcome == model.XPass
	}
	return got, nil
}

// readLines takes the verdicts from the lines of checks.sh.
func readLines(text []byte) (verdicts, error) {
	got := verdicts{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		at := strings.LastIndex(lines.Text(), " ")
		if at < 0 || !slices.Contains([]string{"ok", "failed"}, lines.Text()[at+1:]) {
			return nil, fmt.Errorf("read what checks.sh wrote: %q is no verdict", lines.Text())
		}
		got[lines.Text()[:at]] = lines.Text()[at+1:] == "ok"
	}
	return got, lines.Err()
}

// timed runs a command to its end and returns what it wrote.
func timed(ctx context.Context, name string, args ...string) ([]byte, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		return nil, took, fmt.Errorf("run %s: %w; it wrote: %s", name, err, messages.Bytes())
	}
	return out.Bytes(), took, nil
}

// suite is nestlab's network suite under a condition.
func (i inside) suite(c condition) contender {
	return contender{"nestlab probe", func(ctx context.Context) (time.Duration, error) {
		out, took, err := timed(ctx, nestlabPath, "probe", "--environment", model.EnvRunner, "--suite", model.SuiteNetwork,
			"--platform", "simulated", "--targets", filepath.Join(i.dir, "targets.yaml"), "--no-facts")
		if err != nil {
			return 0, err
		}
		got, err := readJournal(out)
		if err != nil {
			return 0, err
		}
		return took, c.verify(got)
	}}
}

// script is checks.sh under a condition.
func (i inside) script(is string, c condition, args ...string) contender {
	return contender{is, func(ctx context.Context) (time.Duration, error) {
		out, took, err := timed(ctx, "bash", append([]string{i.path("checks.sh")}, args...)...)
		if err != nil {
			return 0, err
		}
		got, err := readLines(out)
		if err != nil {
			return 0, err
		}
		return took, c.verify(got)
	}}
}

// writeTargets writes the simulated target set with the internet's authority.
func (i inside) writeTargets(ca string) error {
	set, err := targets.Builtin(targets.Simulated)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return fmt.Errorf("read the simulated internet's certificate authority: %w", err)
	}
	aim, err := set.WithCA(text).Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(i.dir, "targets.yaml"), aim, 0o644); err != nil {
		return fmt.Errorf("write the targets: %w", err)
	}
	return nil
}
