package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// matchDockerdStopped: who has Docker's socket, or is called dockerd, is stopped by a signal. The kernel takes
// connections for it, which nobody answers.
func matchDockerdStopped(v *view) []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Engine == nil || !f.Engine.Stopped {
			continue
		}
		failed := filter(v.failedWith(model.DaemonDown, model.DeadlineExceeded), func(r model.Result) bool {
			return r.Place == p && slices.Contains(ofDocker, r.Probe)
		})
		if len(failed) == 0 {
			continue
		}
		has := "has Docker's socket and "
		if f.Engine.ByName {
			has = ""
		}
		h := v.fact(CauseServerStopped, p, failed, fmt.Sprintf("%s (process %d) in %s %sis stopped by a signal (state T): `kill -CONT %d` lets it go on",
			f.Engine.Process, f.Engine.PID, p, has, f.Engine.PID))
		h.Finding.Title = "dockerd is stopped by a signal"
		h.contradict(filter(v.of(p), func(r model.Result) bool { return r.Probe == model.ProbeDockerPing && passed(r) }), "it answers")
		all = append(all, h)
	}
	return all
}

// matchSocketPath: dockerd cannot make its socket, as something else has the path.
func matchSocketPath(v *view) []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Engine == nil || f.Engine.NotASocket == "" {
			continue
		}
		failed := filter(v.failedWith(model.DaemonDown), within(p))
		if len(failed) == 0 {
			continue
		}
		d, cure, why := f.Engine, "rm", ""
		if d.Kind == "directory" {
			cure, why = "rmdir", ": a bind mount of a container makes one (-v) where it is started while no dockerd has the socket"
		}
		h := v.fact(CauseSocketPath, p, failed, fmt.Sprintf("%s in %s is a %s, where dockerd is to have its socket%s. `%s %s`, and start dockerd again", d.NotASocket, p, d.Kind, why, cure, d.NotASocket))
		h.Finding.Title = fmt.Sprintf("The path of Docker's socket is no socket: it is a %s", d.Kind)
		if daemon, known := v.run.Daemon(p); known {
			h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{daemon.Ref()}, Text: daemonText(daemon)})
		}
		all = append(all, h)
	}
	return all
}

// readOnlyData: dockerd's data root, or a part of it, is mounted read-only.
func (v *view) readOnlyData() []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Engine == nil || len(f.Engine.ReadOnly) == 0 {
			continue
		}
		failed := append(v.containersOf(p), filter(v.failedWith(model.StorageDriver, model.RegistryError, model.DaemonDown), func(r model.Result) bool {
			return r.Place == p && slices.Contains(ofDocker, r.Probe) && !servesFromHere(r)
		})...)
		if len(failed) == 0 {
			continue
		}
		first := f.Engine.ReadOnly[0]
		h := v.fact(CauseDockerdDataRoot, p, failed, fmt.Sprintf("%s, which dockerd in %s keeps its data in, is mounted read-only: see why (the kernel remounts after an error of the disk: dmesg), and mount it writable again (`mount -o remount,rw %s`)",
			join(f.Engine.ReadOnly), p, first))
		h.Finding.Title = "dockerd's data are on a read-only mount"
		h.contradict(filter(v.of(p), func(r model.Result) bool {
			return passed(r) && (r.Probe == model.ProbeDockerRun || r.Probe == model.ProbeDockerBuild)
		}), "images or containers are made there all the same")
		all = append(all, h)
	}
	return all
}

// servesFromHere reports whether a pull failed though its registry served what it was asked
// for in the same place, in the same probe.
func servesFromHere(r model.Result) bool {
	return r.Probe == model.ProbeRegistryPull && r.Reason == model.RegistryError &&
		slices.Contains([]string{"200", "401"}, r.Detail.Values["registry_status"])
}

// matchRegistryCertificates: what certs.d has for the registry dockerd cannot use, so that it
// does not even ask.
func matchRegistryCertificates(v *view) []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Engine == nil {
			continue
		}
		for _, c := range f.Engine.Certificates {
			failed := filter(v.failedWith(model.RegistryError), func(r model.Result) bool {
				return r.Place == p && r.Probe == model.ProbeRegistryPull && registryName(r.Target) == c.Registry
			})
			if len(failed) == 0 {
				continue
			}
			says := fmt.Sprintf("%s is a client certificate for %s to dockerd, and its key %s is not beside it", c.File, c.Registry, c.Lacks)
			switch {
			case c.Lacks == "":
				says = fmt.Sprintf("%s and its key are no pair, so that dockerd does not ask %s", c.File, c.Registry)
			case strings.HasSuffix(c.File, ".key"):
				says = fmt.Sprintf("%s is a client's key for %s to dockerd, and its certificate %s is not beside it", c.File, c.Registry, c.Lacks)
			}
			says += ". Remove it, or put the pair there (NAME.cert with NAME.key); the certificate of an authority is called NAME.crt"
			h := v.fact(CauseRegistryCertificates, p, failed, says)
			served(&h, failed)
			h.contradict(filter(v.of(p), func(r model.Result) bool {
				return r.Probe == model.ProbeRegistryPull && passed(r) && registryName(r.Target) == c.Registry
			}), "dockerd pulled another image from there")
			all = append(all, h)
			break
		}
	}
	return all
}

// served adds that the registry answered.
func served(h *Hypothesis, failed []model.Result) {
	if answered := filter(failed, servesFromHere); len(answered) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(answered),
			Text: fmt.Sprintf("%s answered %s when it was asked from there without dockerd", join(hosts(answered)), answered[0].Detail.Values["registry_status"])})
	}
}

// registryName is how the directory of certs.d is called for the registry of an image.
func registryName(ref string) string {
	if first, _, found := strings.Cut(ref, "/"); found && strings.ContainsAny(first, ".:") {
		return first
	}
	return registryOf(ref)
}

// matchProxyFailed: a program is told to go by a proxy, which fails; without it all is there.
func matchProxyFailed(v *view) []Hypothesis {
	type way struct {
		place     model.Place
		of, proxy string
	}
	var order []way
	groups := map[way][]model.Result{}
	for _, r := range v.failedWith(model.ProxyFailed) {
		w := way{r.Place, r.Detail.Values["proxy_of"], r.Detail.Values["proxy"]}
		if w.proxy == "" {
			continue // what was not tried follows
		}
		if groups[w] == nil {
			order = append(order, w)
		}
		groups[w] = append(groups[w], r)
	}
	var all []Hypothesis
	for _, w := range order {
		failed := groups[w]
		values := failed[0].Detail.Values
		says := fmt.Sprintf("%s in %s goes by the proxy %s (%s), which fails (%s); without it the same is served", w.of, w.place, w.proxy,
			v.proxySetBy(w.place, failed[0]), cmp.Or(values["proxy_reason"], "no answer"))
		h := v.symptom(CauseProxyFailed, failed, says)
		h.contradict(filter(v.of(w.place), func(r model.Result) bool {
			return r.Probe == model.ProbeRegistryPull && passed(r) && slices.ContainsFunc(failed, func(f model.Result) bool {
				return f.Probe == r.Probe && registryName(f.Target) == registryName(r.Target)
			})
		}), "it pulled from the same registry")
		h.Finding.Title = fmt.Sprintf("The proxy that a program is told to use does not work: %s of %s", w.proxy, w.of)
		all = append(all, h)
	}
	return all
}

// proxySetBy says where a program is told of its proxy.
func (v *view) proxySetBy(p model.Place, r model.Result) string {
	values := r.Detail.Values
	if values["proxy_of"] == "apt" {
		if file := values["proxy_file"]; file != "" {
			return "Acquire::http::Proxy in " + file
		}
		return "Acquire::http::Proxy of apt's configuration"
	}
	if f := v.facts(p); f != nil && f.Engine != nil && len(f.Engine.ProxyVariables) > 0 {
		return fmt.Sprintf("%s of the environment of process %d: `systemctl show docker -p Environment`", join(f.Engine.ProxyVariables), f.Engine.PID)
	}
	return "HTTPS_PROXY of its environment, or \"proxies\" of its configuration"
}

// matchNoSubordinates: LXD's containers do not start, as /etc/subuid and /etc/subgid give
// root no ids for them.
func matchNoSubordinates(v *view) []Hypothesis {
	f := v.facts(v.runner())
	if f == nil || len(f.NoSubordinates) == 0 {
		return nil
	}
	failed := filter(v.startsThatSay(saysSubordinates), func(r model.Result) bool { return r.Environment == model.EnvLXDContainer })
	if len(failed) == 0 {
		return nil
	}
	have := "have"
	if len(f.NoSubordinates) == 1 {
		have = "has"
	}
	h := v.symptom(CauseNoSubordinates, failed, fmt.Sprintf("%s of the runner %s no range for root, so that containers of LXD get no ids: add one to each (`usermod --add-subuids 1000000-1000999999 --add-subgids 1000000-1000999999 root`), and start LXD again",
		join(f.NoSubordinates), have))
	h.Finding.Evidence[0].Refs = []string{model.FactsRef(v.runner(), factSubordinates)}
	h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(failed), Text: "what was said of it: " + partThatSays(failed[0].Detail.Message, saysSubordinates)})
	return []Hypothesis{h}
}

// tasksReached tells of cgroups of containers that have as many processes as they may.
func (v *view) tasksReached() []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		i, ok := v.run.Inspection(p, v.round)
		if !ok || i.Tasks == nil || !i.Tasks.Reached() {
			continue
		}
		t := i.Tasks
		failed := v.containersOf(p)
		if len(failed) == 0 || t.Used < t.Max && !v.mayLackTasks(failed, t.Max-t.Used) {
			continue
		}
		f := v.facts(p)
		if f == nil {
			continue
		}
		// That of dockerd's own choice is where it makes cgroups itself.
		s, set := f.Engine.Setting(keyCgroupParent)
		if !set && (f.Docker == nil || f.Docker.CgroupDriver != "cgroupfs") {
			continue
		}
		says := fmt.Sprintf("the cgroup %s, which dockerd in %s puts its containers into, may have %s (pids.max), and had as many: raise it, or take the limit away (max)",
			t.Cgroup, p, plural(int(t.Max), "process or thread", "processes and threads"))
		var setting *model.DockerSetting
		if set {
			setting = &s
			says += "; " + settingText(s)
		}
		h := v.symptom(CauseKernelLimit, failed, says)
		h.Finding.Evidence[0].Refs, h.Finding.Evidence[0].Setting = []string{i.Ref()}, setting
		if t.Used < t.Max {
			v.contradictStarted(&h, p)
		}
		h.Finding.Title = fmt.Sprintf("The cgroup of Docker's containers may have no more processes (pids.max is %d)", t.Max)
		all = append(all, h)
	}
	return all
}

// tasksOfAStart is what the start of a container takes at most: the runtime's first process
// in it is a program in Go, with a thread for each of a few things.
const tasksOfAStart = 16

// mayLackTasks reports whether a limit that was reached once, and leaves some room now, may be
// why containers fail, as a peak may be of long ago: nothing is known to fail by another cause,
// and one says itself that it was a limit, or the room does not do for a start.
func (v *view) mayLackTasks(failed []model.Result, room uint64) bool {
	may := room < tasksOfAStart
	for _, r := range failed {
		c, _ := v.complaintOf(r)
		if c.cause != "" && c.cause != CauseKernelLimit {
			return false
		}
		may = may || c.cause == CauseKernelLimit
	}
	return may
}
