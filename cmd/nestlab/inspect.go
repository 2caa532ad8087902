package main

import (
	"context"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/observe/hops"
)

// inspector looks at the place that is probed when a probe fails in it, and counts
// the packets of its own interfaces, in the probing process itself.
type inspector struct {
	capture *hops.Capture
	errs    []string
	targets []netip.Addr
	found   *model.Inspection
	// installed says that Docker was to be installed here, docker that a probe of it failed,
	// container that one of its containers did, down that its daemon does not answer.
	installed, docker, container, down bool
}

// inspect begins to count. The runner's own interfaces are watched from outside of
// the suite, for all places.
func inspect(ctx context.Context, p model.Place, installed bool) *inspector {
	i := &inspector{installed: installed}
	if p.Environment == model.EnvRunner {
		return i
	}
	capture, err := hops.Start(ctx)
	if err != nil {
		i.errs = append(i.errs, err.Error())
	}
	i.capture = capture
	return i
}

// saw gets each result as it comes.
func (i *inspector) saw(ctx context.Context, r model.Result) {
	i.targets = append(i.targets, r.Tried()...)
	if r.Outcome != model.Fail {
		return
	}
	if i.found == nil {
		found := facts.Inspect(ctx, r)
		i.found = &found
	}
	i.down = i.down || r.Probe == model.ProbeDockerPing && r.Reason == model.DaemonDown
	i.docker = i.docker || slices.Contains(ofDocker, r.Probe)
	i.container = i.container || slices.Contains(ofContainers, r.Probe)
}

// ofDocker are the probes that dockerd has a part in.
var ofDocker = []string{
	model.ProbeDockerInstall, model.ProbeDockerPing, model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild, model.ProbeDockerNetwork,
}

// ofContainers are those of them that start a container.
var ofContainers = []string{model.ProbeDockerRun, model.ProbeDockerBuild, model.ProbeDockerNetwork}

// end is the inspection, nil where nothing failed.
func (i *inspector) end(ctx context.Context) *model.Inspection {
	var seen []model.Hop
	if i.capture != nil {
		var err error
		if seen, err = i.capture.Stop(nil, i.targets); err != nil {
			i.errs = append(i.errs, err.Error())
		}
	}
	if i.found == nil {
		return nil
	}
	for _, h := range seen {
		i.found.NICs = append(i.found.NICs, model.NIC{Interface: h.Interface, Flow: h.Runner})
	}
	if i.installed && i.docker || i.down {
		var err error
		if i.found.Dockerd, err = facts.DockerdLog(ctx); err != nil {
			i.errs = append(i.errs, err.Error())
		}
	}
	if i.docker {
		var err error
		if i.found.Tasks, err = facts.Tasks(ctx); err != nil {
			i.errs = append(i.errs, err.Error())
		}
	}
	if i.container {
		var err error
		if i.found.LogServer, err = facts.LogServer(ctx); err != nil {
			i.errs = append(i.errs, err.Error())
		}
	}
	i.found.Errors = append(i.found.Errors, i.errs...)
	return i.found
}
