package diagnose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// The keys of dockerd's configuration that rules know, and of its storage driver's options.
const (
	keyBIP            = "bip"
	keyBridge         = "bridge"
	keyDefaultGateway = "default-gateway"
	keyExecOpts       = "exec-opts"
	keyIPMasq         = "ip-masq"
	keyIPTables       = "iptables"
	keyLogDriver      = "log-driver"
	keyRuntime        = "default-runtime"
	keyStorageOpts    = "storage-opts"
	keyUlimits        = "default-ulimits"
	keyCgroupParent   = "cgroup-parent"

	cgroupBySystemd = "native.cgroupdriver=systemd"
	quotaOption     = "overlay2.size="
	filesOption     = "nofile="
)

// fewFiles is less than any container needs to start: runc alone opens more.
const fewFiles = 64

// dockerBridgeName is the bridge of Docker's default network.
const dockerBridgeName = "docker0"

// settingText names a setting as its file has it.
func settingText(s model.DockerSetting) string {
	value := strconv.Quote(s.Value)
	if _, err := strconv.ParseFloat(s.Value, 64); err == nil || s.Value == "true" || s.Value == "false" {
		value = s.Value
	}
	return fmt.Sprintf("%q: %s of %s", s.Key, value, s.From)
}

// needed is a setting of dockerd's with what it needs and does not have.
type needed struct {
	setting model.DockerSetting
	says    string
	// starts is set where dockerd does not start with it; else its containers do not.
	starts bool
	// ref is where it was seen; empty for the facts of dockerd.
	ref string
}

// missingNeeds are the settings of a dockerd whose needs are not met, by what was read of the
// place.
func missingNeeds(d *model.Dockerd, i model.Inspection) []needed {
	var all []needed
	server := i.LogServer
	for _, s := range d.Settings {
		switch {
		case s.Key == keyExecOpts && s.Value == cgroupBySystemd && !d.Systemd:
			all = append(all, needed{setting: s, says: "has systemd make the cgroups of containers, and systemd does not run here: leave it out, or use native.cgroupdriver=cgroupfs"})
		case s.Key == keyRuntime && d.Runtime == s.Value && d.RuntimeProgram != "":
			all = append(all, needed{setting: s, says: fmt.Sprintf("has containers run by %s, which is not there: install it, or leave the setting out, which is runc", d.RuntimeProgram)})
		case s.Key == keyLogDriver && server != nil && server.Driver == s.Value && server.Reason != "":
			all = append(all, needed{setting: s, ref: i.Ref(), says: fmt.Sprintf("has containers log to %s, which cannot be connected to (%s): start what is to listen there, or use json-file", server.Address, server.Reason)})
		case s.Key == keyUlimits && fewer(s.Value):
			all = append(all, needed{setting: s, says: "lets a container open fewer files (RLIMIT_NOFILE) than it needs to start: raise it"})
		case s.Key == keyStorageOpts && strings.HasPrefix(s.Value, quotaOption) && d.RootType != "" && !(d.RootType == "xfs" && d.ProjectQuota):
			all = append(all, needed{setting: s, starts: true, says: fmt.Sprintf(
				"needs XFS that is mounted with project quotas (pquota) under %s, which is on %s: leave it out, or put the data root on such a file system", d.Root, quotaless(d))})
		}
	}
	return all
}

// quotaless is the file system of dockerd's data, without project quotas.
func quotaless(d *model.Dockerd) string {
	if d.RootType == "xfs" {
		return "xfs without pquota"
	}
	return d.RootType
}

// fewer reports whether a limit nofile=SOFT:HARD is too small for any container.
func fewer(value string) bool {
	limit, is := strings.CutPrefix(value, filesOption)
	soft, _, _ := strings.Cut(limit, ":")
	n, err := strconv.Atoi(soft)
	return is && err == nil && n >= 0 && n < fewFiles
}

// matchDockerdSetting takes the settings of dockerd's that keep it, or its containers, from
// their work: what such a setting needs is seen not to be there.
func matchDockerdSetting(v *view) []Hypothesis {
	all := v.untranslated(CauseDockerdSetting, true)
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Engine == nil {
			continue
		}
		i, _ := v.run.Inspection(p, v.round)
		for _, n := range missingNeeds(f.Engine, i) {
			if h, ok := v.unmet(p, n); ok {
				all = append(all, h)
			}
		}
		if s, ok := f.Engine.Setting(keyBridge); ok && s.Value == "none" {
			all = append(all, v.bridgeless(p, s)...)
		}
	}
	return all
}

// unmet is the hypothesis of one setting.
func (v *view) unmet(p model.Place, n needed) (Hypothesis, bool) {
	failed := v.containersOf(p)
	if n.starts {
		failed = filter(v.failedWith(model.DaemonDown), within(p))
	}
	if len(failed) == 0 {
		return Hypothesis{}, false
	}
	h := v.fact(CauseDockerdSetting, p, failed, fmt.Sprintf("%s %s", settingText(n.setting), n.says))
	h.named(n.setting)
	if n.ref != "" {
		h.Finding.Evidence[0].Refs = append(h.Finding.Evidence[0].Refs, n.ref)
	}
	words := failed[0].Detail.Message
	if c, ok := v.complaintOf(failed[0]); ok {
		words = c.words
	}
	if words != "" {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(failed[:1]), Text: "what was said of it: " + shorten(words)})
	}
	if n.starts {
		h.contradict(filter(v.of(p), func(r model.Result) bool { return r.Probe == model.ProbeDockerPing && passed(r) }), "that dockerd answers")
	} else {
		v.contradictStarted(&h, p)
	}
	return h, true
}

// named names the setting in the title and in the first evidence.
func (h *Hypothesis) named(s model.DockerSetting) {
	h.Finding.Title = fmt.Sprintf("A setting of dockerd's is in the way: %s", settingText(s))
	h.Finding.Evidence[0].Setting = &s
}

// fact is a hypothesis that rests on what was read of dockerd in a place.
func (v *view) fact(cause string, p model.Place, failed []model.Result, says string) Hypothesis {
	h := v.symptom(cause, failed, says)
	h.Finding.Evidence[0].Refs = []string{model.FactsRef(p, factEngine)}
	return h
}

// contradictStarted has a container that did start speak against what keeps all from it.
func (v *view) contradictStarted(h *Hypothesis, p model.Place) {
	h.contradict(filter(v.of(p), func(r model.Result) bool { return r.Probe == model.ProbeDockerRun && passed(r) }), "a container of it ran")
	for _, inner := range v.places() {
		if daemonOf(inner) == p && inner != p {
			h.contradict(filter(v.of(inner), func(r model.Result) bool { return r.Probe != model.ProbeStart && passed(r) }), "a container of it runs")
		}
	}
}

// daemonOf is the place of the dockerd that a place is a container of; that of a place which
// is none is the place itself.
func daemonOf(p model.Place) model.Place {
	switch p.Environment {
	case model.EnvContainer, model.EnvDind:
		return model.Place{Environment: model.EnvRunner}
	case model.EnvDindInner:
		p.Environment = model.EnvDind
	}
	return p
}

// containersOf are the failures of containers and builds of a place's dockerd, those that are
// environments included.
func (v *view) containersOf(p model.Place) []model.Result {
	reasons := []model.Reason{model.ContainerFailed, model.BuildFailed, model.Lost, model.NotStarted, model.ReasonOther}
	return filter(v.unexplained(), func(r model.Result) bool {
		if !slices.Contains(reasons, r.Reason) {
			return false
		}
		own := r.Place == p && (r.Probe == model.ProbeDockerRun || r.Probe == model.ProbeDockerBuild)
		return own || r.Probe == model.ProbeStart && r.Place != p && daemonOf(r.Place) == p
	})
}

// bridgeless are the containers of a place's dockerd that have no interface but loopback, as
// the daemon was told to have no bridge.
func (v *view) bridgeless(p model.Place, s model.DockerSetting) []Hypothesis {
	failed := filter(v.unexplained(), func(r model.Result) bool {
		f := v.facts(r.Place)
		return r.Place != p && daemonOf(r.Place) == p && r.Probe != model.ProbeStart && f != nil && len(f.Interfaces) > 0 && !slices.ContainsFunc(f.Interfaces, hasLink)
	})
	if len(failed) == 0 {
		return nil
	}
	h := v.fact(CauseDockerdSetting, p, failed, fmt.Sprintf("%s has dockerd make no bridge and no default network: containers have loopback alone. Leave it out, or give each container a network (--network)", settingText(s)))
	h.named(s)
	for _, place := range placesOf(failed) {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{model.FactsRef(place, factInterfaces)}, Text: fmt.Sprintf("%s has no interface but loopback", place)})
	}
	return []Hypothesis{h}
}

// hasLink reports whether an interface leads anywhere.
func hasLink(i model.Interface) bool {
	return i.Name != "lo" && i.Up
}

// notMasquerading is the setting by which the runner's dockerd does not translate what its
// default bridge sends, though it writes its other rules.
func (v *view) notMasquerading(bridge string) (model.DockerSetting, bool) {
	runner := v.facts(v.runner())
	if runner == nil || bridge != dockerBridgeName {
		return model.DockerSetting{}, false
	}
	if s, ok := runner.Engine.Setting(keyIPTables); ok && s.Value == "false" {
		return model.DockerSetting{}, false
	}
	s, ok := runner.Engine.Setting(keyIPMasq)
	return s, ok && s.Value == "false"
}
