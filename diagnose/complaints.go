package diagnose

import (
	"regexp"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// complaint is what a daemon or a container runtime said of a failure.
type complaint struct {
	cause string // empty for one that no rule knows
	// subject is what it is about: the key of a configuration, a file, an address.
	subject string
	limits  limits
	words   string
}

// limits are names of limits of the kernel that may be meant, as in facts.
type limits []string

// The limits that words can be about.
var (
	limitCgroups    = limits{"cgroup.max.descendants", "cgroup ids"}
	limitNamespaces = limits{
		"user.max_user_namespaces", "user.max_net_namespaces", "user.max_mnt_namespaces", "user.max_pid_namespaces",
		"user.max_ipc_namespaces", "user.max_uts_namespaces", "user.max_cgroup_namespaces", "user.max_time_namespaces",
	}
	limitInotify = limits{"fs.inotify.max_user_watches", "fs.inotify.max_user_instances"}
	limitKeys    = limits{"kernel.keys.maxkeys", "kernel.keys.maxbytes", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes"}
	limitTasks   = limits{"pids.max", "kernel.threads-max", "kernel.pid_max"}
	limitFiles   = limits{"nofile", "fs.file-max"}
	limitMounts  = limits{"fs.mount-max"}
	limitQuota   = limits{"quota of a user or project"}
)

// heard is what words mean: a pattern, which may name a subject, and the cause.
type heard struct {
	pattern *regexp.Regexp
	cause   string
	limits  limits
	subject string // where the pattern names none
}

func hear(cause, subject string, patterns ...string) []heard {
	var all []heard
	for _, p := range patterns {
		all = append(all, heard{pattern: regexp.MustCompile(`(?is)` + p), cause: cause, subject: subject})
	}
	return all
}

func hearLimit(l limits, patterns ...string) []heard {
	all := hear(CauseKernelLimit, "", patterns...)
	for i := range all {
		all[i].limits = l
	}
	return all
}

// complaints are the words that dockerd, containerd, runc and the kernel behind them are known
// by, of several the first: what names one thing stands before what is in many messages.
var complaints = slices.Concat(
	// The configuration is read before anything else is done.
	hear(CauseDockerdConfig, "", `following directives (?:are specified both as a flag and in the configuration file|don't match any configuration option): (?P<subject>[\w.-]+)`,
		`cannot unmarshal \S+ into go (?:struct field config\.(?P<subject>[\w.-]+)|value)`),
	hear(CauseDockerdConfig, "log-level", `logging level: `),
	hear(CauseDockerdConfig, "default-runtime", `specified default runtime '?"?[\w.-]+'?"? does not exist`),
	hear(CauseDockerdConfig, "default-address-pools", `invalid pools? size`, `smaller prefix \(/\d+\) than the target size`),
	hear(CauseDockerdConfig, "bip", `(?:network controller|bip failed): invalid cidr address`, `parse bip`),
	hear(CauseDockerdConfig, "tlscert", `could not load x509 key pair`, `could not read ca certificate`, `failed to load .{0,20}tls`),
	hear(CauseDockerdConfig, "userns-remap", `can't create id mappings`, `no sub[ug]id ranges found`),
	hear(CauseDockerdConfig, "", `unknown (?:shorthand )?flag: (?P<subject>\S+)`, `invalid argument \S+ for "(?P<subject>[^"]+)" flag`,
		`unable to configure the docker daemon with file (?P<subject>[^\s:]+)`, `configuration validation`, `invalid json: `),
	hear(CauseDockerdPIDFile, "", `ensure docker is not running or delete (?P<subject>[^\s:]+)`, `pid file found`),
	hear(CauseIPForwardOff, "", `ipv[46] forwarding is disabled`),
	hear(CauseClientTooOld, "", `client version \S+ is too old`, `minimum supported api version is (?P<subject>[\d.]+)`),
	hear(CauseAddressInUse, "", `bind for (?P<subject>\S+) failed: port is already allocated`, `listen (?:tcp|udp|unix)\S* (?P<subject>\S+?): bind: (?:address already in use|cannot assign)`,
		`address already in use`, `port is already allocated`, `can't create unix socket (?P<subject>[^\s:]+)`),
	hear(CauseAddressPools, "", `fully subnetted`, `non-overlapping ipv[46] address pool`, `pool overlaps with other one`,
		`conflicts with network .*networks have overlapping`, `overlaps with (?:an )?existing route`, `no available (?:ipv[46] )?(?:address|network)`,
		`no available network`),
	hear(CauseDockerdFirewalld, "", `zone_conflict: (?P<subject>.*?zone)`, `invalid_(?:zone|ipv)`, `command_failed`, `firewalld`, `org\.fedoraproject\.firewalld`),
	// An ENOSPC, EDQUOT, EAGAIN or EMFILE whose subject is no file of a file system.
	hearLimit(limitCgroups, `(?:cgroup|/docker/[0-9a-f]{12,})[^\n]*no space left on device`, `cgroup[^\n]*resource temporarily unavailable`),
	hearLimit(limitInotify, `(?:inotify|fsnotify|watch)[^\n]*(?:no space left on device|too many open files)`, `(?:no space left on device|too many open files)[^\n]*inotify`),
	hearLimit(limitKeys, `key(?:ring|ctl)?\b[^\n]*(?:disk )?quota exceeded`, `session key`),
	hearLimit(limitNamespaces, `(?:fork/exec|unshare|clone|setns|namespace|nsexec|newuidmap)[^\n]*no space left on device`),
	hearLimit(limitMounts, `(?:mounting|mount)\b[^\n]*no space left on device`),
	hearLimit(limitTasks, `(?:fork|clone|pthread_create|thread|exec)[^\n]*resource temporarily unavailable`, `pthread_create failed`),
	hearLimit(limitFiles, `too many open files`),
	hearLimit(limitQuota, `quota exceeded`),
	// The image is here, and does not get onto the disk.
	hear(CauseStorageDriver, "", `failed to (?:extract|register) layer(?:[^\n]*(?:invalid argument|not permitted|not supported|snapshot|whiteout|overlay))`, `convert whiteout`,
		`snapshotter not loaded`, `failed to (?:stat|create|prepare) (?:extraction )?snapshot`, `overlay[^\n]*(?:invalid argument|no such device|too many levels|stale)`, `(?:graphdriver|unpigz|archive/tar|failed to register layer)[^\n]*(?:invalid argument|not permitted)`),
	hear(CauseDockerdCgroup, "", `devices cgroup isn't mounted`, `cgroup mountpoint does not exist`, `(?:mountpoint for|no) (?:\w+ )?cgroup[^\n]*(?:not found|found)`, `no cgroup mount found`,
		`mountpoint for (?P<subject>\w+) not found`, `cannot enter cgroup`, `it is in an? invalid state`, `cgroup[\w./-]*(?:procs|subtree_control|controllers)`, `unable to apply cgroup configuration`, `/sys/fs/cgroup[^\n]*read-only file system`,
		`cgroup[^\n]*(?:device or resource busy|not supported|no such file|read-only)`, `systemd cgroup[^\n]*(?:not|fail|error)`, `(?:dbus|system_bus_socket)[^\n]*(?:connect|no such)`),
	hear(CauseRuntimeDenied, "", `(?P<subject>apparmor|seccomp|selinux)[^\n]*(?:denied|not permitted|fail|unable|error|not supported|no such file|invalid)`,
		`(?:unable|fail\w*|error)[^\n]*(?P<subject>apparmor|seccomp|selinux)`, `reopen fd \d+: permission denied`, `(?:procfs|/proc/\S*|sysctl)[^\n]*permission denied`,
		`(?:oci runtime|runc|container_linux|shim)[^\n]*(?:permission denied|not permitted)`),
	hear(CauseNoPrivilege, "", `permission denied \(you must be root\)`, `needs to be (?:started with|run as) root`, `error creating bpf program`, `devices\.allow`,
		`operation not permitted`, `mount: permission denied`, `requires? (?:root|privileged)`),
	hear(CauseDockerdDataRoot, "", `(?P<subject>[^\s():]*(?:metadata\.db|meta\.db|local-kv\.db))`, `metadata database`, `libnet controller initialization`, `populating kmap`, `boltdb|invalid database|file size too small`,
		`networks have same bridge name`, `(?:chmod|mkdir|open|write|chown|lock) (?P<subject>/[^\s:]+): (?:read-only file system|input/output error|not a directory|resource temporarily unavailable)`, `read-only file system|input/output error|structure needs cleaning`),
	hear(CauseStorageDriver, "", `graphdriver`, `storage[- ]driver`, `driver not supported`, `overlayfs: `, `failed to mount overlay`, `failed to mount[^\n]*fstype`),
	hear(CauseNoPrivilege, "", `failed to mount`),
	hear(CauseDockerdIPTables, "", `iptables failed`, `failed to create nat chain`, `table does not exist \(do you need to insmod`, `can't initialize iptables table`,
		`could not fetch rule set generation id`, `iptables[^\n]*not found`, `nftables`),
	hear(CauseKernelFeature, "", `modprobe: (?:fatal: )?(?P<subject>[^\n]*)`, `module (?P<subject>[\w-]+) not found`, `function not implemented|protocol not supported|address family not supported`,
		`(?P<subject>[^\n:]*): operation not supported`, `not supported by (?:the|your|this) kernel`, `kernel does not support (?P<subject>[^\n.]*)`, `unknown device type`),
	hear(CauseContainerdDown, "", `failed to (?:dial|start) [^\n]*containerd`, `timeout waiting for containerd`, `containerd[^\n]*(?:did not start|took no connection|it ended|exited|connection refused|timeout)`, `containerd[\w./-]*\.sock[^\n]*no such file`,
		`failed to dial "[^"]+"`, `connect containerd`),
)

// readComplaint returns what the last words of a program mean.
func readComplaint(text string) complaint {
	c := complaint{words: lastWords(text)}
	for _, h := range complaints {
		found := h.pattern.FindStringSubmatch(c.words)
		if found == nil {
			continue
		}
		c.cause, c.limits, c.subject = h.cause, h.limits, h.subject
		if i := h.pattern.SubexpIndex("subject"); i >= 0 && found[i] != "" {
			c.subject = strings.Trim(found[i], `"'., `)
		}
		break
	}
	return c
}

// failedToStart is how dockerd begins its last words. What iptables said has lines of
// its own in them.
const failedToStart = "failed to start daemon"

// panicked begins what a program in Go says that dies of an error of its own, which its
// stack follows.
var panicked = regexp.MustCompile(`(?m)^(?:panic: |fatal error: |runtime: ).*$`)

// logBegins is where a message goes on with a daemon's log.
var logBegins = regexp.MustCompile(`the end of [^\n]*:\n`)

// lastWords returns what a daemon's log says of its end: its last words, or, where it had
// none, its lines at the levels error and fatal, and what it printed after its log. A daemon in good health
// names its storage driver and its chains as well, at the level info.
func lastWords(text string) string {
	lines := filter(strings.Split(strings.TrimSpace(text), "\n"), func(l string) bool { return !hears(l, saysInit) })
	text = strings.Join(lines, "\n")
	if at := logBegins.FindAllStringIndex(text, -1); len(at) > 0 && at[len(at)-1][1] < len(text) {
		text = text[at[len(at)-1][1]:]
		lines = strings.Split(text, "\n")
	}
	if i := strings.LastIndex(text, failedToStart); i >= 0 {
		return text[i:]
	}
	if died := panicked.FindString(text); died != "" {
		return died
	}
	// What has no level is no line of the log: it is printed at the very end.
	after := len(lines)
	for after > 0 && !hears(lines[after-1], saysErrorLevel, saysInfoLevel) {
		after--
	}
	kept := append(filter(lines[:after], func(l string) bool { return hears(l, saysErrorLevel) }), lines[after:]...)
	if len(kept) == 0 {
		kept = lines[max(0, len(lines)-1):]
	}
	return strings.Join(kept, "\n")
}

// ofDaemons are the reasons of failures that a daemon or its container runtime has words for.
var ofDaemons = []model.Reason{
	model.ContainerFailed, model.BuildFailed, model.RegistryError, model.StorageDriver, model.DiskFull, model.DaemonDown, model.Permission, model.ReasonOther,
}

// ofPulls are the causes that words of a pull can have: what else is in them is of the way to
// the registry, and no daemon's.
var ofPulls = []string{CauseStorageDriver, CauseKernelLimit, CauseDockerdDataRoot, CauseClientTooOld}

// heardOf is what is known of a result: a complaint, or that there is none.
type heardOf struct {
	complaint
	known bool
}

// complaintOf returns what is known of why a daemon is down or refuses: from the
// environment that it belongs to, or from the notes on the runner's own.
func (v *view) complaintOf(r model.Result) (complaint, bool) {
	if !r.Outcome.Bad() {
		return complaint{}, false
	}
	if v.heard == nil {
		v.heard = map[string]heardOf{}
	}
	h, done := v.heard[r.Ref()]
	if !done {
		h.complaint, h.known = v.hearOf(r)
		v.heard[r.Ref()] = h
	}
	return h.complaint, h.known
}

func (v *view) hearOf(r model.Result) (complaint, bool) {
	d, known := v.run.Daemon(r.Place)
	switch {
	case r.Probe == model.ProbeStart && known, r.Reason == model.DaemonDown && known:
		return readComplaint(strings.Join(d.Log, "\n")), true
	case startSays(r, saysDockerd):
		return readComplaint(r.Detail.Message), true
	case startSays(r, saysRuntime):
		// The daemon runs, and refused something.
		c := readComplaint(r.Detail.Message)
		return c, c.cause != ""
	case r.Probe == model.ProbeStart:
		// Of what is no daemon's, the kernel's limits are known.
		c := readComplaint(r.Detail.Message)
		return c, c.cause == CauseKernelLimit
	case r.Reason == model.DaemonDown:
		return v.downComplaint(r)
	case slices.Contains(ofRuntime, r.Probe) && slices.Contains(ofDaemons, r.Reason) && r.Detail.Message != "":
		c := readComplaint(r.Detail.Message)
		if r.Reason == model.StorageDriver {
			c.cause = CauseStorageDriver // every layer was here
		}
		if r.Probe == model.ProbeRegistryPull && !slices.Contains(ofPulls, c.cause) {
			return complaint{}, false
		}
		return c, c.cause != ""
	}
	return complaint{}, false
}

// ofRuntime are the probes of images and containers, ofDocker all that a daemon answers.
var ofRuntime = []string{model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild}

var ofDocker = []string{model.ProbeDockerPing, model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild}

// downComplaint looks for the words of a daemon that does not answer.
func (v *view) downComplaint(r model.Result) (complaint, bool) {
	if i, ok := v.run.Inspection(r.Place, v.round); ok && len(i.Dockerd) > 0 {
		return readComplaint(strings.Join(i.Dockerd, "\n")), true
	}
	if r.Place != v.runner() {
		return complaint{}, false
	}
	for _, n := range v.run.Notes {
		if hears(n, saysDockerd) {
			return readComplaint(n), true
		}
	}
	return complaint{}, false
}
