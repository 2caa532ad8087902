package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// rules is every cause that has a name, those nearest to the wire first: what they
// break, those behind them cannot be judged by. Of two that explain as much the one that
// stands first here is taken. Layers and dependsOn say where that is meant.
var rules = slices.Concat(namedRules, daemonRules)

var namedRules = []Rule{
	{
		Cause: CauseRunnerOffline, layer: layerRunner,
		Title: "The runner itself is offline",
		About: "no connection of the runner itself is answered",
		means: "The runner itself is offline: nothing in it can reach more than it does",
		match: matchRunnerOffline,
	},
	{
		Cause: CauseDNSUpstreamDead, layer: layerRunner,
		Title: "The resolver that everything here uses does not answer",
		About: "the resolver answers nobody, the runner included",
		means: "The resolver that everything here depends on does not answer",
		match: matchDNSUpstreamDead,
	},
	{
		Cause: CauseDockerForwardDrop, layer: layerForwarding,
		Title:    "Docker's FORWARD policy drops what guests of other bridges send",
		About:    "dockerd set the FORWARD policy to DROP; what the runner forwards from other bridges is lost",
		Remedies: []string{catalogue.DockerUserAccept, catalogue.ForwardAccept, catalogue.IPForwardNoDrop, catalogue.LXDBeforeDocker},
		match:    matchDockerForwardDrop,
		summary:  summarizeDockerForwardDrop,
		absent:   noDockerForwardDrop,
		excludes: slices.Concat([]exclusion{{CauseUpstreamBlocks, droppedByDockerFirst}}, excludedByControls,
			[]exclusion{{CauseNATOff, cameBackWithRemedy}}),
	},
	{
		Cause: CauseFirewallForwardDrop, layer: layerForwarding,
		Title:    "A firewall on the runner drops what guests send",
		About:    "a firewall rule or policy on the runner, not Docker's, drops what it forwards",
		Remedies: []string{catalogue.FirewallForwardAccept, catalogue.ForwardAccept},
		match:    func(v *view) []Hypothesis { return append(matchFirewallForwardDrop(v), v.innerFirewall()...) },
		summary:  summarizeFirewall,
		excludes: slices.Concat([]exclusion{{CauseUpstreamBlocks, droppedByRuleFirst}}, excludedByControls),
	},
	{
		Cause: CauseIPForwardOff, layer: layerForwarding,
		Title:    "IP forwarding is off on the runner",
		About:    "ip_forward is off on the runner: it forwards nothing",
		Remedies: []string{catalogue.IPForwardOn},
		match: func(v *view) []Hypothesis {
			return slices.Concat(matchIPForwardOff(v), v.innerForwarding(), v.daemonWantsForwarding())
		},
		summary: summarizeForwarding,
		absent:  noIPForwardOff,
	},
	{
		Cause: CauseNATOff, layer: layerForwarding,
		Title:     "Guests' packets leave the runner without NAT",
		About:     "packets leave the runner with the guests' private addresses, which nobody can answer",
		dependsOn: []string{CauseDockerForwardDrop},
		Remedies:  []string{catalogue.NATOn},
		means:     "The runner does not translate (NAT) what it forwards: packets leave on the uplink with the guests' private addresses, and nobody can answer those",
		match:     func(v *view) []Hypothesis { return v.untranslated(CauseNATOff, false) },
		excludes:  excludedByControls,
	},
	{
		Cause: CauseUpstreamBlocks, layer: layerForwarding,
		Title:    "The network behind the runner drops guests' packets",
		About:    "the network behind the runner drops what comes from guests, though it has left the runner",
		Remedies: []string{catalogue.UserModeNetwork, catalogue.ProxyOnBridge},
		means:    "The network behind the runner drops what comes from guests: their packets leave on the uplink with the runner's address, and no answer comes back, while the runner's own are answered",
		match:    matchUpstreamBlocks,
		excludes: slices.Concat([]exclusion{{CauseDockerForwardDrop, leftOnUplink}}, excludedByControls),
	},
	{
		Cause: CauseDHCPBlocked, layer: layerGuest,
		Title:    "Guests get no address by DHCP",
		About:    "guests of a bridge get no address",
		Remedies: []string{catalogue.DHCPAccept},
		means:    "Guests of the bridge get no IPv4 address: DHCP does not reach the server, or its answer does not come back",
		match:    matchDHCPBlocked,
	},
	{
		Cause: CauseDNSBlocked, layer: layerGuest,
		Title:    "Guests' DNS queries are not answered",
		About:    "guests' DNS queries are not answered, the runner's own are",
		Remedies: []string{catalogue.DNSForwarder},
		means:    "DNS is blocked between the guests and their resolver: the runner's own questions are answered",
		match:    matchDNSBlocked,
	},
	{
		Cause: CauseNoResolver, layer: layerGuest,
		Title: "resolv.conf names no DNS server",
		About: "there is no nameserver in /etc/resolv.conf, so that no name can be asked for",
		means: "/etc/resolv.conf names no server: nobody can be asked for a name. On the runner, link it to the resolver's own " +
			"(ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf); for containers alone, set \"dns\" in /etc/docker/daemon.json",
		match: matchNoResolver,
	},
	{
		Cause: CauseSubnetOverlap, layer: layerGuest,
		Title:    "A bridge has a network that is in use outside too",
		About:    "a bridge has a subnet that is in use outside too",
		Remedies: []string{catalogue.BridgeSubnet},
		means:    "A bridge of the runner has a network that is in use outside as well: packets for there stay on the bridge",
		match:    matchSubnetOverlap,
	},
	{
		Cause: CauseMTUBlackhole, layer: layerGuest,
		Title:    "Large packets are lost on the way",
		About:    "small packets pass, large ones are dropped silently",
		Remedies: []string{catalogue.MTUMatch, catalogue.DockerMTU},
		means:    "The path swallows large packets and does not say so: small ones pass, large ones do not",
		match:    matchMTUBlackhole,
	},
	{
		Cause: CauseAAAAOnly, layer: layerGuest,
		Title: "Names have IPv6 addresses only, and IPv6 leads nowhere",
		About: "names have IPv6 addresses only, and IPv6 is unreachable",
		means: "Names have IPv6 addresses alone, and IPv6 leads nowhere from here",
		match: matchAAAAOnly,
	},
	{
		Cause: CauseV6NoRoute, layer: layerGuest,
		Title:     "IPv6 is tried first, and leads nowhere",
		About:     "only IPv6 addresses were tried, and IPv6 is unreachable",
		dependsOn: []string{CauseDNSBlocked, CauseMTUBlackhole},
		Remedies:  []string{catalogue.IPv4Only},
		means:     "Connections were tried over IPv6 alone, and IPv6 leads nowhere from here",
		match:     matchV6NoRoute,
	},
	{
		Cause: CauseProxyRequired, layer: layerWeb,
		Title: "Connections have to go through a proxy",
		About: "connections get out through a proxy only",
		means: "A proxy stands in the way and wants to be used: direct connections are refused or answered by it",
		match: matchProxyRequired,
	},
	{
		Cause: CauseTLSIntercepted, layer: layerWeb,
		Title:    "TLS is intercepted on the way",
		About:    "TLS is terminated on the way: all sites show certificates of one authority that is not trusted here",
		Remedies: []string{catalogue.CAInstall},
		means:    "TLS is opened on the way: all sites show certificates of one authority that is not trusted here",
		match:    matchTLSIntercepted,
	},
	{
		Cause: CauseClockSkew, layer: layerWeb,
		Title: "This machine's clock is wrong",
		About: "this machine's clock is wrong: all certificates seem to be out of date",
		means: "The clock is wrong: the certificates of all sites seem to be out of date at once",
		match: matchClockSkew,
	},
	{
		Cause: CauseRegistryDown, layer: layerSite,
		Title: "The image registry does not serve",
		About: "the registry does not serve, other sites do",
		means: "The registry does not serve; other sites do",
		match: matchRegistryDown,
	},
	{
		Cause: CauseRegistryRateLimit, layer: layerSite,
		Title:    "The image registry limits the rate of pulls",
		About:    "the registry answers 429: too many pulls",
		Remedies: []string{catalogue.RegistryMirror},
		means:    "The registry limits pulls (429): too many were made from this address or account",
		match:    matchRegistryRateLimit,
	},
	{
		Cause: CauseAptMirror5xx, layer: layerSite,
		Title: "The apt mirror answers with server errors",
		About: "the apt mirror answers with server errors",
		means: "The apt mirror answers with server errors (5xx)",
		match: matchAptMirror5xx,
	},
	{
		Cause: CauseSlowMirror, layer: layerSite,
		Title: "The apt mirror is too slow",
		About: "the apt mirror answers, but too slowly to be of use",
		means: "The apt mirror serves too slowly: it answers at once, but its data do not come in time",
		match: matchSlowMirror,
	},
	{
		Cause: CauseDiskFull, layer: layerMachine,
		Title:    "A file system is full",
		About:    "a file system has no space left",
		Remedies: []string{catalogue.DataRoot},
		means:    "A file system is full: what is to be written fails",
		match:    matchDiskFull,
	},
	{
		Cause: CauseOutOfMemory, layer: layerMachine,
		Title: "There is too little memory",
		About: "a program was refused memory, or killed for what it took",
		means: "There is too little memory: a program was refused some, or killed for what it took",
		match: matchOutOfMemory,
	},
	{
		Cause: CauseStorageDriver, layer: layerMachine,
		Title:     "Docker's storage driver does not work here",
		About:     "Docker's storage driver does not work here, or is the slow one",
		dependsOn: []string{CauseDiskFull},
		Remedies:  []string{catalogue.StorageDriver},
		means:     "Docker's storage driver does not fit: dockerd does not start with it, or copies whole file systems (vfs)",
		match:     matchStorageDriver,
	},
	{
		Cause: CauseSocketDenied, layer: layerMachine,
		Title: "This user may not open Docker's socket",
		About: "Docker's socket is there, but this user may not open it",
		means: "Docker's socket is closed to this user: be in the socket's group, or root",
		match: matchSocketDenied,
	},
	{
		Cause: CauseDockerdIPTables, layer: layerMachine,
		Title:    "Docker's firewall rules are missing",
		About:    "dockerd has written no usable firewall rules: what its containers send is not translated, or it does not start",
		Remedies: []string{catalogue.NATOn, catalogue.IPTablesBackend},
		means:    "Docker's firewall rules are missing: dockerd runs with \"iptables\": false, or writes to a rule set (nft or legacy) that does not work here",
		match: func(v *view) []Hypothesis {
			return slices.Concat(v.untranslated(CauseDockerdIPTables, true), v.innerNAT(), v.daemonSays(CauseDockerdIPTables))
		},
	},
	{
		Cause: CauseNoPrivilege, layer: layerMachine,
		Title: "dockerd lacks a privilege",
		About: "dockerd lacks a privilege that it needs",
		means: "dockerd lacks a privilege: a nested daemon needs a privileged container, or rootless mode",
		match: func(v *view) []Hypothesis { return v.daemonSays(CauseNoPrivilege) },
	},
	{
		Cause: CauseKVMDenied, layer: layerMachine,
		Title:    "/dev/kvm may not be opened",
		About:    "/dev/kvm is there, but may not be opened",
		Remedies: []string{catalogue.KVMPermission},
		means:    "/dev/kvm is there, but may not be opened: virtual machines do not start, or crawl",
		match:    matchKVMDenied,
	},
	{
		Cause: CauseAgentNotReady, layer: layerMachine,
		Title: "The virtual machine's agent does not answer",
		About: "a virtual machine runs, but its agent does not answer",
		means: "The virtual machine runs, but the agent in it does not answer, so that nothing can be done in it",
		match: matchAgentNotReady,
	},
}
