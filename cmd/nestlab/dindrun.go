package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

type dindRun struct {
	request spec.Dind
	targets string
	out     string
	// record is where the image keeps how long its build took, socket the daemon's.
	record, socket string
}

func newDindRunCommand() *cobra.Command {
	r := dindRun{request: spec.NewDind()}
	var read func(*cobra.Command) error
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Probe this Docker-in-Docker environment and a container of its daemon",
		Long: `Starts dockerd here, after installing it when the phase is runtime, and runs the
probe suite here (environment dind) and in a container of that daemon
(dind-inner). Writes journal.jsonl and run.json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := read(cmd); err != nil {
				return err
			}
			return r.run(cmd)
		},
	}
	read = requestFlags(cmd, &r.request, dindFlags)
	f := cmd.Flags()
	f.StringVar(&r.record, "record", spec.RecordPath, "where the image keeps how long its build took")
	f.StringVar(&r.socket, "socket", dind.DefaultSocket, "the daemon's unix socket")
	f.StringVar(&r.targets, "targets", "", "target set: live, simulated or a file (default the internet's own)")
	f.StringVar(&r.out, "out", "out", "directory for journal.jsonl and run.json")
	return cmd
}

// dindFlags make the request.
func dindFlags(f *pflag.FlagSet, d *spec.Dind) {
	wordVar(f, &d.Phase, "phase", "when Docker is installed")
	alias(f, "moment", "phase")
	wordVar(f, &d.Internet, "internet", "the internet that is probed")
	wordVar(f, &d.Platform, "platform", "decides which failures are expected")
	f.StringVar(&d.InnerImage, "inner-image", "", "image of the inner container (default debian:bookworm)")
	f.StringVar(&d.FirstImage, "first-image", "", "image of the first container, whose start is timed (default hello-world)")
	f.StringArrayVar(&d.Mirrors, "registry-mirror", nil, "URL of a mirror of Docker Hub (repeatable)")
	f.IntVar(&d.Retries, "retries", 0, "number of retries after a transient failure")
	f.DurationVar(&d.Timeout, "timeout", d.Timeout, "limit of the suite in one environment")
	originFlags(f, &d.Origin)
	f.StringArrayVar(&d.Sources, "source", nil, "a line of sources.list to use instead of the configured ones (repeatable)")
	f.DurationVar(&d.MirrorTimeout, "mirror-timeout", d.MirrorTimeout, "how long to wait for a package mirror")
}

func (r *dindRun) run(cmd *cobra.Command) error {
	plan, err := r.request.Plan()
	if err != nil {
		return usageError(err)
	}
	if r.targets == "" {
		r.targets = string(r.request.Internet)
	}
	set, err := loadTargets(r.targets)
	if err != nil {
		return usageError(err)
	}
	plan.Targets = set.Name
	text, err := set.Encode()
	if err != nil {
		return err
	}
	here, err := r.here()
	if err != nil {
		return err
	}
	lanes, err := session.Lanes(plan.Items, func(model.PlanItem) string { return "here" }, here.Environment)
	if err != nil {
		return err
	}
	s := &session.Session{
		Lanes: lanes, Targets: text, Platform: plan.Platform,
		Retries: r.request.Retries, ProbeTimeout: r.request.Timeout, Host: session.Host{Observe: facts.ForwardChains}, Progress: cmd.ErrOrStderr(),
	}
	return s.Write(cmd.Context(), r.out, plan, version, nil)
}

// here is this environment as the request wants it.
func (r *dindRun) here() (h *dind.Here, err error) {
	d := r.request
	h = &dind.Here{
		Install: dind.Install{Origin: d.Origin, Sources: d.AptSources(), Timeout: d.MirrorTimeout},
		Phase:   d.Phase, Record: r.record, Socket: r.socket, Log: io.Discard,
	}
	h.Inner, h.First = d.Images()
	if h.Settings, err = dind.Settings(d.Mirrors...); err != nil {
		return nil, err
	}
	if h.Binary, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	return h, nil
}
