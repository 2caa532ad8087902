// Command bench measures nestlab side by side with what one would do instead, in
// turns on the same machine, and prints ratios. It needs an engine: make bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The parts of the benchmark.
const (
	partNetwork = "network"
	partDockerd = "dockerd"
	partDind    = "dind"
)

type options struct {
	// repeats of what takes seconds, slow of what takes longer.
	repeats, slow int
	parts         []string
	base, out     string
}

// document is out/bench.json.
type document struct {
	Schema     string `json:"schema"`
	CPUs       int    `json:"cpus,omitempty"`
	LoadBefore string `json:"load_before,omitempty"`
	LoadAfter  string `json:"load_after,omitempty"`
	Rows       []row  `json:"rows"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	within := len(args) > 0 && args[0] == "inside"
	if within {
		args = args[1:]
	}
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	if within {
		return runInside(ctx, o, out, progress)
	}
	d, failed := measure(ctx, o, progress)
	if len(d.Rows) == 0 {
		return failed
	}
	// What was measured before a failure is kept.
	return errors.Join(failed, show(o, d, out))
}

// show writes the results to their file and, for people, to out.
func show(o options, d document, out io.Writer) error {
	if err := write(o.out, d); err != nil {
		return err
	}
	if d.CPUs != 0 {
		if _, err := fmt.Fprintf(out, "%d CPUs, load %s before and %s after\n\n", d.CPUs, d.LoadBefore, d.LoadAfter); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return writeTable(out, d.Rows)
}

func parse(args []string, messages io.Writer) (options, error) {
	o := options{}
	known := []string{partNetwork, partDockerd, partDind}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(messages)
	f.IntVar(&o.repeats, "n", 7, "repeats of what takes seconds")
	f.IntVar(&o.slow, "slow", 3, "repeats of what waits for timeouts, fixed sleeps or whole calls")
	f.StringVar(&o.base, "base", "debian:bookworm", "image that the simulated runner is made from")
	f.StringVar(&o.out, "out", filepath.Join("out", "bench.json"), "file for the results")
	parts := f.String("parts", strings.Join(known, ","), "what to measure")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.parts = strings.Split(*parts, ",")
	for _, p := range o.parts {
		if !slices.Contains(known, p) {
			return o, fmt.Errorf("-parts: unknown part %q; known: %s", p, strings.Join(known, ", "))
		}
	}
	if o.repeats < 1 || o.slow < 1 || f.NArg() > 0 {
		return o, fmt.Errorf("-n and -slow are 1 at least (got %d and %d), and nothing comes after the flags (got %q)", o.repeats, o.slow, f.Args())
	}
	return o, nil
}

// insideArgs hand the options on to the part in the simulated runner.
func (o options) insideArgs() []string {
	return []string{"inside", "-n", strconv.Itoa(o.repeats), "-slow", strconv.Itoa(o.slow), "-parts", strings.Join(o.parts, ",")}
}

func measure(ctx context.Context, o options, progress io.Writer) (document, error) {
	d := document{Schema: "nestlab.bench/v1"}
	var all []samples
	if slices.Contains(o.parts, partNetwork) || slices.Contains(o.parts, partDockerd) {
		m, err := measureInRunner(ctx, o, progress)
		if err != nil {
			return d, err
		}
		d.CPUs, d.LoadBefore, d.LoadAfter, all = m.CPUs, m.LoadBefore, m.LoadAfter, m.Samples
	}
	var failed error
	if slices.Contains(o.parts, partDind) {
		s, err := measureDind(ctx, o, progress)
		all, failed = append(all, s...), err
	}
	for _, s := range all {
		r, err := newRow(s)
		if err != nil {
			return d, err
		}
		d.Rows = append(d.Rows, r)
	}
	return d, failed
}

func write(path string, d document) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of the results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}
