package probe

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// task is one probe of one target.
type task struct {
	suite, probe, target string
	deadline             time.Duration
	run                  probeFunc
	// skip and why are set where it is not run.
	skip model.Reason
	why  string
}

// tasks lists the whole suite in table order, with what is skipped.
func (o *Options) tasks() []task {
	t := o.Targets
	var out []task
	add := func(suite, probe string, run probeFunc, targets ...string) {
		for _, target := range targets {
			out = append(out, task{suite: suite, probe: probe, target: target, deadline: t.Deadline(probe), run: run})
		}
	}
	add(model.SuiteNetwork, model.ProbeDNSA, probeDNS(dns.TypeA), t.DNS...)
	add(model.SuiteNetwork, model.ProbeDNSAAAA, probeDNS(dns.TypeAAAA), t.DNS...)
	add(model.SuiteNetwork, model.ProbeTCP, probeTCP, t.TCP...)
	add(model.SuiteNetwork, model.ProbeFirst, probeFirst, t.TCP[:min(1, len(t.TCP))]...)
	add(model.SuiteNetwork, model.ProbeHTTP, probeWeb, t.HTTP...)
	add(model.SuiteNetwork, model.ProbeHTTPS, probeWeb, t.HTTPS...)
	add(model.SuiteNetwork, model.ProbeICMP, probeICMP, t.ICMP...)
	for _, p := range t.PathMTU {
		add(model.SuiteNetwork, model.ProbePathMTU, probePathMTU(p), p.URL)
	}
	if o.Install != nil {
		add(SuiteInstall, model.ProbeDockerInstall, probeInstall(o.Install), o.Install.Method)
	}
	if t.Apt != nil {
		add(model.SuitePackages, model.ProbeAptUpdate, probeAptUpdate, aptUpdateTarget(t.Apt))
		add(model.SuitePackages, model.ProbeAptInstall, probeAptInstall, strings.Join(t.Apt.Packages, " "))
	}
	if t.Docker != nil {
		add(model.SuiteDocker, model.ProbeDockerPing, probeDockerPing, "daemon")
		add(model.SuiteDocker, model.ProbeRegistryPull, probeRegistryPull, t.Docker.Image)
		add(model.SuiteDocker, model.ProbeDockerRun, probeDockerRun, t.Docker.Image)
		add(model.SuiteDocker, model.ProbeDockerBuild, probeDockerBuild, t.Docker.Image)
		for _, p := range t.PathMTU[:min(1, len(t.PathMTU))] {
			add(model.SuiteDocker, model.ProbeDockerNetwork, probeDockerNetwork(p), p.URL)
		}
	}
	if slices.Contains(o.Suites, model.SuiteMachines) {
		add(model.SuiteMachines, model.ProbeKVM, probeKVM, kvmDevice)
	}
	for i := range out {
		o.markSkipped(&out[i])
	}
	return out
}

func (o *Options) markSkipped(t *task) {
	if len(o.Only) > 0 && !slices.Contains(o.Only, t.probe) {
		t.skip, t.why = model.NotApplicable, "only "+strings.Join(o.Only, ", ")+" was asked for"
		return
	}
	if t.suite == SuiteInstall || o.wants(t.suite) {
		return
	}
	t.skip, t.why = model.NotApplicable, "suite "+t.suite+" was not asked for"
	if t.suite == model.SuiteDocker {
		t.skip, t.why = model.NoDocker, "no Docker was installed in this environment"
	}
}

// without skips a task of Docker's where there is none; empty is where there is.
func (t *task) without(docker string) {
	if docker != "" && t.skip == "" {
		t.skip, t.why = model.NoDocker, docker
	}
}

// name is how the target shows in results: without the method.
func (t task) name() string {
	_, u := targets.SplitMethod(t.target)
	if t.probe == model.ProbeHTTP || t.probe == model.ProbeHTTPS {
		return u
	}
	return t.target
}
