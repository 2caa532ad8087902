package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
)

// installFlags say how Docker is installed in a place before the rest of it is probed.
type installFlags struct{ guest dind.Guest }

func (i *installFlags) add(f *pflag.FlagSet) {
	f.StringVar(&i.guest.Method, "install", "", "put Docker in as one of the probes: "+strings.Join(dind.GuestMethods(), ", "))
	f.StringVar(&i.guest.Script, "install-script", "", "URL of the script of --install "+dind.GuestScript)
	f.StringVar(&i.guest.Cache, "install-cache", "", "directory with the packages and images of --install "+dind.GuestCached)
	f.DurationVar(&i.guest.Daemon, "install-ready", dind.GuestDaemon, "how long the daemon of --install may take to answer")
}

// installation is nil where nothing is to be installed. Packages come from where
// the target set says.
func (i *installFlags) installation(set *targets.Set) (*probe.Installation, error) {
	if i.guest.Method == "" {
		return nil, nil
	}
	g := i.guest
	g.CA, g.Timeout = set.CA, set.Deadline(targets.DeadlineConnect)
	if set.Apt != nil {
		g.Sources = set.Apt.Sources
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	asked := ""
	if g.Method == dind.GuestScript {
		asked = g.Script
	}
	return &probe.Installation{
		Method: g.Method, URL: asked, Ready: g.Ready,
		Run: func(ctx context.Context) (string, error) {
			out, err := g.Run(ctx)
			if errors.Is(err, dind.ErrNoSnap) {
				err = fmt.Errorf("%w: %w", probe.ErrNoInstaller, err)
			}
			return out, err
		},
	}, nil
}

// installTimings are the steps of an installation that went well.
func installTimings(r model.Result) []model.Timing {
	if r.Probe != model.ProbeDockerInstall || r.Outcome != model.Pass {
		return nil
	}
	var timings []model.Timing
	start := r.Start
	for _, step := range []struct{ name, value string }{
		{model.StepInstall, probe.ValueInstall}, {model.StepDaemonReady, probe.ValueReady},
	} {
		ms, err := strconv.ParseInt(r.Detail.Values[step.value], 10, 64)
		if err != nil {
			continue // not measured
		}
		timings = append(timings, model.Timing{Place: r.Place, Step: step.name, Start: start, DurationMS: ms, Note: r.Target})
		start = start.Add(time.Duration(ms) * time.Millisecond)
	}
	return timings
}

// useProxy makes this process and what it starts use a forward proxy.
func useProxy(to string) error {
	if u, err := url.Parse(to); err != nil || u.Host == "" {
		return fmt.Errorf("--environment-proxy %q is no URL such as http://192.0.2.1:3128", to)
	}
	for _, variable := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"} {
		if err := os.Setenv(variable, to); err != nil {
			return fmt.Errorf("use the proxy %s: %w", to, err)
		}
	}
	return nil
}
