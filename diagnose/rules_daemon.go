package diagnose

import "github.com/nestlab/nestlab/remedy/catalogue"

// daemonRules are the causes that keep a daemon from its work, or its containers from
// theirs; last come those without a name, told in the daemon's own words.
var daemonRules = []Rule{
	{
		Cause: CauseDockerdSetting, layer: layerMachine,
		Title:    "A setting of dockerd's is in the way",
		About:    "a setting of dockerd's (daemon.json or its flags) keeps it or its containers from their work: what the setting needs was seen not to be there, or the setting takes the network away",
		Remedies: []string{catalogue.NATOn},
		means:    "A setting of dockerd's is in the way",
		match:    matchDockerdSetting,
	},
	{
		Cause: CauseSocketPath, layer: layerMachine,
		Title: "The path of Docker's socket is no socket",
		About: "a directory or a file is where dockerd is to make its socket",
		means: "Something that is no socket has the path of Docker's socket, so that dockerd does not start",
		match: matchSocketPath,
	},
	{
		Cause: CauseRegistryCertificates, layer: layerMachine,
		Title: "Docker cannot use the certificates that it has for the registry",
		About: "certs.d has a client certificate without its key, a key without its certificate, or a pair that does not fit: dockerd does not even ask the registry",
		means: "Docker cannot use the certificates that it has for the registry (certs.d), and does not even ask it",
		match: matchRegistryCertificates,
	},
	{
		Cause: CauseProxyFailed, layer: layerMachine,
		Title: "The proxy that a program is told to use does not work",
		About: "dockerd or apt is told to go by a proxy, which fails when it is tried, and without it all is there",
		means: "A program is told to go by a proxy that does not work: repair the setting, or take it away",
		match: matchProxyFailed,
	},
	{
		Cause: CauseNoSubordinates, layer: layerMachine,
		Title: "There are no subordinate ids for LXD's containers",
		About: "/etc/subuid and /etc/subgid have no range for root, and LXD's containers are refused theirs (newuidmap)",
		means: "There are no subordinate ids for LXD's containers, so that none of them starts",
		match: matchNoSubordinates,
	},
	{
		Cause: CauseDockerdConfig, layer: layerMachine,
		Title: "dockerd's configuration is invalid",
		About: "dockerd refuses its configuration: a key that is unknown, set twice (by flag and in the file) or has a bad value, or a file that is no JSON",
		means: "dockerd refuses its configuration and does not start: repair the key that it names in /etc/docker/daemon.json or in its flags, and try it with dockerd --validate",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseDockerdConfig) },
	},
	{
		Cause: CauseDockerdPIDFile, layer: layerMachine,
		Title: "A PID file says that dockerd runs already",
		About: "dockerd finds a PID file: of a daemon that runs already, or left from before a restart",
		means: "dockerd does not start, as its PID file names a process that runs. If that is no dockerd the file is stale: " +
			"remove it before each start, and don't keep /var/run over a restart",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseDockerdPIDFile) },
	},
	{
		Cause: CauseAddressInUse, layer: layerMachine,
		Title: "An address or port that Docker is to listen on is taken",
		About: "another process listens on the port or socket that dockerd, or a container's published port, wants",
		means: "Something else listens on the address that Docker is to listen on: ss -lntup shows whose it is; stop that, or use another port",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseAddressInUse) },
	},
	{
		Cause: CauseAddressPools, layer: layerMachine,
		Title: "Docker finds no free network for its bridge",
		About: "all of Docker's address pools are taken, by its own networks or by routes of the machine (a VPN's, another bridge's)",
		means: "Docker has no subnet left: its networks and the machine's routes cover all of its address pools. " +
			"Remove networks that are not used (docker network prune), or set \"bip\" and \"default-address-pools\" to a range without a route",
		match: matchAddressPools,
	},
	{
		Cause: CauseDockerdFirewalld, layer: layerMachine,
		Title: "firewalld refuses what Docker asks of it",
		About: "firewalld refuses dockerd's zone or rules",
		means: "firewalld refuses what dockerd asks of it: take Docker's interface out of the other zone " +
			"(firewall-cmd --permanent --zone=ZONE --remove-interface=docker0; firewall-cmd --reload), and start dockerd again",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseDockerdFirewalld) },
	},
	{
		Cause: CauseKernelLimit, layer: layerMachine,
		Title: "A limit of the kernel is reached, and no disk is full",
		About: "ENOSPC, EDQUOT or EAGAIN of something that is no file: namespaces, cgroups, inotify watches, keys, tasks, open files or mounts",
		means: "A limit of the kernel is reached; no disk is full. Raise the limit that is named, or end what uses it up",
		match: matchKernelLimit,
	},
	{
		Cause: CauseDockerdCgroup, layer: layerMachine,
		Title: "Control groups are not as Docker needs them",
		About: "cgroups are not mounted, read-only, in an invalid state, or lack a controller",
		means: "Docker cannot use the control groups here: mount /sys/fs/cgroup writable, with the controllers that it names; a nested daemon " +
			"needs a cgroup of its own (--privileged --cgroupns=private), whose processes are not in its root",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseDockerdCgroup) },
	},
	{
		Cause: CauseDockerdDataRoot, layer: layerMachine,
		Title: "dockerd's data directory is locked, damaged or read-only",
		About: "a database in dockerd's data directory is held by another process or damaged, or the directory is read-only",
		means: "dockerd cannot use its data directory: end the other daemon that holds it, make it writable, or move the damaged file away",
		match: func(v *view) []Hypothesis { return append(v.readOnlyData(), v.daemonSays(CauseDockerdDataRoot)...) },
	},
	{
		Cause: CauseKernelFeature, layer: layerMachine,
		Title: "The kernel lacks something that Docker needs",
		About: "a kernel module or feature is missing",
		means: "The kernel here lacks a module or a feature that Docker needs: load it on the runner (modprobe), as a container cannot",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseKernelFeature) },
	},
	{
		Cause: CauseContainerdDown, layer: layerMachine,
		Title: "containerd does not answer dockerd",
		About: "dockerd cannot reach containerd, which ended or did not come up in time",
		means: "containerd does not answer, and dockerd needs it: look at its own log (journalctl -u containerd)",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseContainerdDown) },
	},
	{
		Cause: CauseRuntimeDenied, layer: layerMachine,
		Title: "The container runtime is denied what it needs",
		About: "runc may not do something that every container needs: AppArmor, seccomp or SELinux of the machine, or of the container around it, denies it",
		means: "The container runtime (runc) is denied something, so that no container starts; images and the network are not the cause. " +
			"A nested daemon needs an outer container whose AppArmor and seccomp profiles allow it: update LXC/LXD/Incus, use an older runc, or an unconfined profile",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseRuntimeDenied) },
	},
	{
		Cause: CauseClientTooOld, layer: layerMachine,
		Title: "The client is too old for this Docker",
		About: "the client speaks an API that the daemon has dropped",
		means: "The client speaks an older API than the daemon accepts: use a newer client, or let the daemon speak it (DOCKER_MIN_API_VERSION)",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseClientTooOld) },
	},
	{
		Cause: CauseDaemonFailed, layer: layerUnnamed,
		Title: titleDaemonFailed,
		About: "a daemon did not start or died, for a reason that has no name here: its own last words say it",
		means: "The Docker daemon failed, and nestlab has no name for why. Its own last words are below: search for them, and see its whole log (journalctl -u docker)",
		match: matchDaemonFailed,
	},
	{
		Cause: CauseContainerFailed, layer: layerUnnamed,
		Title: titleContainerFailed,
		About: "the daemon runs, and its containers or builds fail for a reason that has no name here: what was said of it is quoted",
		means: "The daemon runs, but a container or a build of it fails, and nestlab has no name for why",
		match: matchContainerFailed,
	},
}
