package dind

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// Here is a run in this very environment: Docker is there already (build time) or
// is put in now (run time), and a container of its daemon is probed beside it.
type Here struct {
	Install Install
	// Moment is BuildTime or Runtime.
	Moment string
	// Inner is the image of the inner container, First that of the first one.
	Inner, First string
	// Record is where a build kept how long it took.
	Record string
	// Settings are the daemon's, Socket its socket.
	Settings map[string]any
	Socket   string
	// Binary is this binary's path.
	Binary string
	// Log gets what the installation prints.
	Log io.Writer

	daemon *Daemon
}

// Validate checks what was asked for.
func (h *Here) Validate() error {
	if !slices.Contains([]string{BuildTime, Runtime}, h.Moment) {
		return fmt.Errorf("unknown moment %q: Docker is put in at %s or at %s", h.Moment, BuildTime, Runtime)
	}
	return h.Install.Validate()
}

// Lane is this environment and the container in it, started in that order.
func (h *Here) Lane() []session.Environment {
	setup := SetupName(h.Install.Method, h.Moment)
	return []session.Environment{
		&session.Local{
			At: model.Place{Environment: model.EnvDind, Setup: setup}, With: []string{"network", "packages", "docker"},
			Up: h.up, Down: h.down,
		},
		&Container{
			At: model.Place{Environment: model.EnvDindInner, Setup: setup}, With: []string{"network", "packages"},
			Host: "unix://" + h.Socket, Image: h.Inner, Binary: h.Binary,
		},
	}
}

func (h *Here) up(ctx context.Context, took session.Took) error {
	spent, err := h.putIn(ctx, took)
	if err != nil {
		return err
	}
	begin := time.Now()
	h.daemon = &Daemon{Socket: h.Socket, Settings: h.Settings, Restarts: 2}
	if err := h.daemon.Start(ctx, time.Minute); err != nil {
		return err
	}
	took(model.StepDaemonReady, begin, time.Since(begin), "")
	api, err := Dial(h.daemon.Host())
	if err != nil {
		return err
	}
	defer api.Close()
	first := time.Now()
	if err := RunOnce(ctx, api, h.First); err != nil {
		return fmt.Errorf("run a first container: %w", err)
	}
	took(model.StepFirstContainer, first, time.Since(first), "pull included")
	took(model.StepTotal, begin.Add(-spent), spent+time.Since(begin), "")
	return nil
}

// putIn installs Docker, or reads how long that took when the image was built.
func (h *Here) putIn(ctx context.Context, took session.Took) (time.Duration, error) {
	if h.Moment == Runtime {
		begin := time.Now()
		in := h.Install
		in.Log = h.Log
		if err := in.Run(ctx); err != nil {
			return 0, err
		}
		spent := time.Since(begin)
		took(model.StepInstall, begin, spent, "")
		return spent, nil
	}
	record, ok, err := ReadRecord(h.Record)
	if err != nil || !ok {
		return 0, err
	}
	took(model.StepImageBuild, record.Start, record.Duration, "as measured when the layer was built")
	return record.Duration, nil
}

func (h *Here) down(context.Context) error {
	if h.daemon == nil {
		return nil
	}
	return h.daemon.Stop()
}
