package dind

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

// Here is a run in this very environment: Docker is there already (build time) or
// is put in now (run time), and a container of its daemon is probed beside it.
type Here struct {
	Install Install
	Phase   spec.Phase
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

// Environment makes a row of the plan: this environment, or the container in it.
func (h *Here) Environment(row model.PlanItem) (session.Environment, error) {
	for _, env := range h.environments() {
		if env.Place() == row.Place {
			return env, nil
		}
	}
	return nil, fmt.Errorf("there is no %s here", row.Place)
}

// environments are this one and the container in it, started in that order.
func (h *Here) environments() []session.Environment {
	setup := spec.SetupName(h.Install.Method, h.Phase)
	return []session.Environment{
		&session.Local{
			At: model.Place{Environment: model.EnvDind, Setup: setup},
			Up: h.up, Down: h.down,
		},
		&Container{
			At:   model.Place{Environment: model.EnvDindInner, Setup: setup},
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
	if h.Phase == spec.Runtime {
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
