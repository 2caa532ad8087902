package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/facts"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

type dindRun struct {
	here     dind.Here
	targets  string
	platform string
	internet string
	out      string
	mirrors  []string
	retries  int
	timeout  time.Duration
}

func newDindRunCommand() *cobra.Command {
	r := dindRun{}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Probe this Docker-in-Docker environment and a container of its daemon",
		Long: `Starts dockerd here, after installing it when the moment is runtime, and runs the
probe suite here (environment dind) and in a container of that daemon
(dind-inner). Writes journal.jsonl and run.json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&r.here.Moment, "moment", dind.BuildTime, "when Docker is put in: build-time or runtime")
	f.StringVar(&r.here.Inner, "inner-image", "debian:bookworm", "image of the inner container")
	f.StringVar(&r.here.First, "first-image", "hello-world", "image of the first container, whose start is timed")
	f.StringVar(&r.here.Record, "record", dind.RecordPath, "where the image keeps how long its build took")
	f.StringVar(&r.here.Socket, "socket", dind.DefaultSocket, "the daemon's unix socket")
	f.StringVar(&r.targets, "targets", "live", "target set: live, simulated or a file")
	f.StringVar(&r.platform, "platform", "auto", "azure, github-hosted, simulated, unknown or auto")
	f.StringVar(&r.internet, "internet", "live", "what the plan calls the internet: live or simulated")
	f.StringVar(&r.out, "out", "out", "directory for journal.jsonl and run.json")
	f.StringArrayVar(&r.mirrors, "registry-mirror", nil, "URL of a mirror of Docker Hub (repeatable)")
	f.IntVar(&r.retries, "retries", 0, "how often a transient failure is tried again")
	f.DurationVar(&r.timeout, "timeout", 5*time.Minute, "limit of the suite in one environment")
	addInstallFlags(cmd, &r.here.Install)
	return cmd
}

func (r *dindRun) run(cmd *cobra.Command) error {
	if err := r.here.Validate(); err != nil {
		return usageError(err)
	}
	set, err := loadTargets(r.targets)
	if err != nil {
		return usageError(err)
	}
	var text bytes.Buffer
	if err := set.Write(&text); err != nil {
		return fmt.Errorf("write the targets: %w", err)
	}
	if r.here.Settings, err = dind.Settings(r.mirrors...); err != nil {
		return err
	}
	if r.here.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	r.here.Log = io.Discard
	s := &session.Session{
		Lanes: [][]session.Environment{r.here.Lane()}, Targets: text.Bytes(), Platform: r.platform,
		Retries: r.retries, ProbeTimeout: r.timeout, Observe: facts.ForwardChains, Progress: cmd.ErrOrStderr(),
	}
	plan := model.Plan{
		Command: r.here.Moment, Internet: r.internet, Targets: set.Name, Platform: r.platform,
		Items: session.Items(s.Lanes),
	}
	return s.Write(cmd.Context(), r.out, plan, version, nil)
}
