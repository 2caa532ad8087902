package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// Where a container on a network of its own has this binary and what it is aimed at.
const (
	binaryThere  = "/nestlab-probe"
	targetsThere = "/nestlab-targets.yaml"
)

// mtuOption is the option of Docker's bridge networks for their MTU.
const mtuOption = "com.docker.network.driver.mtu"

// probeDockerNetwork makes a network, as docker network create and every compose project
// do, and looks in a container on it whether large packets pass: dockerd's "mtu" is for
// its default bridge alone. It fails for that only; whether containers connect at all is
// not for it to say.
func probeDockerNetwork(target targets.PathMTU) probeFunc {
	return func(ctx context.Context, e *env, _ string) observation {
		d := e.docker
		if o, done := d.without(ctx, e.targets.Docker.Image); done {
			o.outcome = model.Skip // the probes before have told of it
			return o
		}
		o := observation{values: map[string]string{}}
		found, err := d.onOwnNetwork(ctx, e, target, &o)
		o.output = ""
		switch {
		case err != nil:
			o.outcome, o.reason, o.message = model.Skip, model.NotApplicable, fmt.Sprintf("large packets were not tried on a network of its own: %v", err)
		case found.Reason == model.MTU:
			o.reason, o.err = model.MTU, fmt.Errorf("in a container on a network made by docker network create: %s", found.Detail.Message)
		case found.Reason != "":
			o.outcome, o.reason, o.message = model.Skip, model.NotApplicable, fmt.Sprintf("small packets do not pass there either (%s)", found.Reason)
		}
		for _, name := range []string{"path_mtu", "mss"} {
			if value := found.Detail.Values[name]; value != "" {
				o.values[name] = value
			}
		}
		return o
	}
}

// onOwnNetwork is what path-mtu says in a container on a network that is made for it.
func (d *dockerState) onOwnNetwork(ctx context.Context, e *env, target targets.PathMTU, o *observation) (found model.Result, err error) {
	dir, err := os.MkdirTemp("", "nestlab-network-")
	if err != nil {
		return found, fmt.Errorf("make a directory for what the container needs: %w", err)
	}
	defer func() { err = both(err, os.RemoveAll(dir)) }()
	host, err := d.needs(ctx, e, target, dir)
	if err != nil {
		return found, err
	}
	name := "nestlab-probe-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	made, err := d.cli.NetworkCreate(ctx, name, network.CreateOptions{Driver: "bridge", Labels: probeLabels})
	if err != nil {
		return found, fmt.Errorf("make a network: %w", err)
	}
	defer func() {
		removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		defer cancel()
		if removeErr := d.cli.NetworkRemove(removeCtx, made.ID); removeErr != nil {
			err = both(err, fmt.Errorf("remove network %s, which the probe has made; do it by hand: %w", name, removeErr))
		}
	}()
	d.defaultMTU(ctx, o)
	host.NetworkMode = container.NetworkMode(made.ID)
	_, err = d.toItsEnd(ctx, container.Config{
		Image: e.targets.Docker.Image, User: "0",
		Entrypoint: []string{binaryThere, "probe", "--environment", model.EnvContainer, "--targets", targetsThere, "--suite", model.SuiteNetwork, "--no-facts"},
	}, host, o)
	if err != nil {
		return found, fmt.Errorf("run a container on it: %w", err)
	}
	return resultIn(o.output)
}

// needs are this binary, what it is to be aimed at, and the address of that: names are
// no matter of this probe.
func (d *dockerState) needs(ctx context.Context, e *env, target targets.PathMTU, dir string) (*container.HostConfig, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the own executable: %w", err)
	}
	u, err := url.Parse(target.URL)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", target.URL, err)
	}
	host := &container.HostConfig{}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		addresses, err := e.resolver().lookup(ctx, u.Hostname())
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			if a.Is4() {
				host.ExtraHosts = []string{u.Hostname() + ":" + a.String()}
				break
			}
		}
	}
	const stall = targets.Duration(3 * time.Second)
	set := targets.Set{Version: 1, Name: e.targets.Name, Proxy: e.targets.Proxy, PathMTU: []targets.PathMTU{target},
		Deadlines: map[string]targets.Duration{targets.DeadlineConnect: stall, model.ProbePathMTU: 4 * stall, model.ProbeDNSA: stall}}
	text, err := set.Encode()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "targets.yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, fmt.Errorf("write what the container is aimed at: %w", err)
	}
	for source, there := range map[string]string{binary: binaryThere, file: targetsThere} {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: source, Target: there, ReadOnly: true})
	}
	return host, nil
}

// defaultMTU notes the MTU that the daemon was told for its default bridge.
func (d *dockerState) defaultMTU(ctx context.Context, o *observation) {
	bridge, err := d.cli.NetworkInspect(ctx, "bridge", network.InspectOptions{})
	if err != nil {
		o.values["default_error"] = err.Error()
	} else if mtu := bridge.Options[mtuOption]; mtu != "" {
		o.values["default_mtu"] = mtu
	}
}

// resultIn is path-mtu's in what nestlab probe printed.
func resultIn(output string) (model.Result, error) {
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "{") {
			continue // its progress
		}
		var entry model.Entry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			return model.Result{}, fmt.Errorf("read what nestlab said there: %w", err)
		}
		if entry.Result != nil && entry.Result.Probe == model.ProbePathMTU {
			return *entry.Result, nil
		}
	}
	return model.Result{}, fmt.Errorf("nestlab said nothing of large packets there: %.300s", output)
}
