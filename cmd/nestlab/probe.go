package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec/targets"
)

type probeFlags struct {
	place    model.Place
	round    string
	platform string
	targets  string
	suites   []string
	only     []string
	install  installFlags
	allProxy string
	retries  int
	noFacts  bool
	list     bool
	timeout  time.Duration
	out      string
	proxy    string
}

func newProbeCommand() *cobra.Command {
	var p probeFlags
	cmd := &cobra.Command{
		Use:   "probe --environment NAME",
		Short: "Probe this environment and write journal lines to standard output",
		Long: `Makes every observation of the suite in the environment that it runs in, and
writes them as they come: one JSON object to a line, the facts first. A failed
probe is data: the exit code is 0 whenever the environment could be observed, and
2 if the command was used wrongly.`,
		Example: `  nestlab probe --environment runner
  nestlab probe --environment lxd-vm --suite network --targets simulated
  nestlab probe --environment dind --setup distro/build-time --list`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&p.place.Environment, "environment", "", "where this is: "+strings.Join(model.Environments(), ", "))
	f.StringVar(&p.place.Name, "name", "", "name of the bridge or the guest, where the environment is one")
	f.StringVar(&p.place.Setup, "setup", "", "how Docker got in, METHOD/PHASE, such as distro/build-time")
	f.StringVar(&p.place.Scenario, "scenario", "", "what is different about it, such as ipv4-only")
	f.StringSliceVar(&p.only, "only", nil, "make these probes alone; the others are reported as skipped")
	f.StringVar(&p.allProxy, "environment-proxy", "", "URL of a proxy in the environment: for HTTP, HTTPS, apt and what installs Docker")
	p.install.add(f)
	f.StringVar(&p.round, "round", model.RoundBaseline, "round of the run: baseline, intervened, reverted")
	f.StringVar(&p.platform, "platform", model.PlatformAuto, "auto, "+strings.Join(model.Platforms(), ", ")+"; decides which failures are expected")
	f.StringVar(&p.targets, "targets", targets.Live, strings.Join(targets.Names(), ", ")+", a YAML file, or - for one on standard input")
	f.StringSliceVar(&p.suites, "suite", model.Suites(), "suites to run, once for each; the others are reported as skipped")
	f.IntVar(&p.retries, "retries", 0, "number of retries after a transient failure, 0 to 10")
	f.StringVar(&p.proxy, "proxy", "", "URL of a proxy for HTTP and HTTPS, instead of what the targets say")
	f.BoolVar(&p.noFacts, "no-facts", false, "leave the facts out")
	f.StringVar(&p.out, "out", "", "directory for journal.jsonl and run.json instead of standard output")
	f.BoolVar(&p.list, "list", false, "list what would be probed, and probe nothing")
	f.DurationVar(&p.timeout, "timeout", 5*time.Minute, "limit of the whole; what it cuts off is reported as canceled")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	return cmd
}

// noArguments refuses what is no flag.
func noArguments(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError(err)
	}
	return nil
}

func (p *probeFlags) run(cmd *cobra.Command) error {
	if p.timeout <= 0 {
		return usageError(fmt.Errorf("--timeout %s leaves no time to probe: give one above 0, such as 5m", p.timeout))
	}
	options, err := p.options()
	if err != nil {
		return usageError(err)
	}
	plan, err := probe.Plan(options)
	if err != nil {
		return usageError(err)
	}
	if p.list {
		return writePlan(cmd.OutOrStdout(), plan)
	}
	if p.out != "" {
		return p.keep(cmd, options.Targets)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), p.timeout)
	defer cancel()
	j := &journalWriter{enc: json.NewEncoder(cmd.OutOrStdout())}
	if !p.noFacts {
		f := facts.Collect(ctx, facts.Options{Place: p.place, Platform: options.Platform})
		j.write(model.Entry{Facts: &f})
	}
	done, look := 0, inspect(ctx, p.place, options.Install != nil)
	err = probe.Run(ctx, options, func(r model.Result) {
		done++
		j.write(model.Entry{Result: &r})
		look.saw(ctx, r)
		for _, t := range installTimings(r) {
			j.write(model.Entry{Timing: &t})
		}
		_, progressErr := fmt.Fprintf(cmd.ErrOrStderr(), "[%d/%d] %-6s %s %s %s\n", done, len(plan), r.Outcome, r.Probe, r.Target, r.Reason)
		j.keep(progressErr)
	})
	if found := look.end(cmd.Context()); found != nil {
		j.write(model.Entry{Inspection: found})
	}
	if err != nil {
		j.write(model.Entry{Note: err.Error()})
	}
	return j.err
}

// keep probes here as one place of a run, and writes that run's files.
func (p *probeFlags) keep(cmd *cobra.Command, targets *targets.Set) error {
	text, err := targets.Encode()
	if err != nil {
		return err
	}
	s := &session.Session{
		Lanes:   [][]session.Environment{{&session.Local{At: p.place, With: p.suites}}},
		Targets: text, Platform: p.platform, Retries: p.retries, ProbeTimeout: p.timeout,
		Host: session.Host{Observe: facts.ForwardChains}, Progress: cmd.ErrOrStderr(),
	}
	plan := model.Plan{
		Command: "host-step", Internet: targets.Internet(), Targets: targets.Name, Platform: p.platform,
		Items: session.Items(s.Lanes),
	}
	return s.Write(cmd.Context(), p.out, plan, version, nil)
}

func (p *probeFlags) options() (probe.Options, error) {
	o := probe.Options{Place: p.place, Round: p.round, Platform: p.platform, Suites: p.suites, Only: p.only, Retries: p.retries}
	if p.place.Environment == "" {
		return o, fmt.Errorf("--environment is missing; known: %s", strings.Join(model.Environments(), ", "))
	}
	if p.platform == model.PlatformAuto {
		o.Platform = facts.DetectPlatform()
	}
	var err error
	if o.Targets, err = loadTargets(p.targets); err == nil && p.proxy != "" {
		o.Targets, err = o.Targets.WithProxy(p.proxy)
	}
	if err != nil {
		return o, err
	}
	if p.allProxy != "" {
		if err := useProxy(p.allProxy); err != nil {
			return o, err
		}
		o.Targets.Proxy = targets.ProxyEnvironment
	}
	if o.Install, err = p.install.installation(o.Targets); err != nil {
		return o, err
	}
	if o.Install != nil && p.install.guest.Method == dind.GuestCached && o.Targets.Docker != nil {
		o.Targets.Docker.Keep = true // an image that was put in is there to be used
	}
	return o, nil
}

// loadTargets takes the name of a built-in target set or the path of a file.
func loadTargets(nameOrFile string) (*targets.Set, error) {
	if nameOrFile == "-" {
		// By its descriptor: /dev/stdin cannot always be opened again.
		return targets.Parse(os.Stdin)
	}
	if slices.Contains(targets.Names(), nameOrFile) {
		return targets.Builtin(nameOrFile)
	}
	f, err := os.Open(nameOrFile)
	if errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(nameOrFile, "/.") {
		return targets.Builtin(nameOrFile) // its error lists the names
	}
	if err != nil {
		return nil, fmt.Errorf("open target set: %w", err)
	}
	t, err := targets.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameOrFile, errors.Join(err, f.Close()))
	}
	return t, f.Close()
}

func writePlan(w io.Writer, plan []probe.Planned) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, "SUITE\tPROBE\tTARGET\tDEADLINE\tSKIPPED"); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	for _, p := range plan {
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.Suite, p.Probe, p.Target, p.Deadline, p.Skip); err != nil {
			return fmt.Errorf("write the plan: %w", err)
		}
	}
	return table.Flush()
}

// journalWriter writes journal lines and keeps the first error, so that a full
// disk ends in an error and not in silence.
type journalWriter struct {
	enc *json.Encoder
	err error
}

func (j *journalWriter) write(e model.Entry) { j.keep(j.enc.Encode(e)) }

func (j *journalWriter) keep(err error) {
	if err != nil && j.err == nil {
		j.err = fmt.Errorf("write the journal: %w", err)
	}
}
