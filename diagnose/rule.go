package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// The causes, in the order of the rules.
const (
	CauseRunnerOffline        = "runner-offline"
	CauseDNSUpstreamDead      = "dns-upstream-dead"
	CauseDockerForwardDrop    = "docker-forward-drop"
	CauseFirewallForwardDrop  = "firewall-forward-drop"
	CauseIPForwardOff         = "ip-forward-off"
	CauseNATOff               = "nat-off"
	CauseUpstreamBlocks       = "upstream-blocks-guests"
	CauseDHCPBlocked          = "dhcp-blocked"
	CauseDNSBlocked           = "dns-blocked"
	CauseSubnetOverlap        = "subnet-overlap"
	CauseMTUBlackhole         = "mtu-blackhole"
	CauseAAAAOnly             = "aaaa-only"
	CauseV6NoRoute            = "v6-no-route"
	CauseProxyRequired        = "proxy-required"
	CauseTLSIntercepted       = "tls-intercepted"
	CauseClockSkew            = "clock-skew"
	CauseRegistryDown         = "registry-down"
	CauseRegistryRateLimit    = "registry-rate-limit"
	CauseAptMirror5xx         = "apt-mirror-5xx"
	CauseSlowMirror           = "slow-mirror"
	CauseRefusedUpstream      = "refused-upstream"
	CauseUnansweredUpstream   = "unanswered-upstream"
	CauseDiskFull             = "disk-full"
	CauseOutOfMemory          = "out-of-memory"
	CauseStorageDriver        = "dockerd-storage-driver"
	CauseSocketDenied         = "docker-socket-denied"
	CauseDockerdIPTables      = "dockerd-iptables-backend"
	CauseNoPrivilege          = "dockerd-no-privilege"
	CauseKVMDenied            = "kvm-denied"
	CauseAgentNotReady        = "agent-not-ready"
	CauseDroppedByRule        = "dropped-by-rule"
	CauseRPFilter             = "reverse-path-filter"
	CauseMisrouted            = "misrouted"
	CauseNobodyListens        = "nobody-listens"
	CauseDroppedByKernel      = "dropped-by-kernel"
	CauseRedirected           = "redirected-by-rule"
	CauseAltered              = "altered-by-rule"
	CauseTrafficControl       = "traffic-control"
	CauseIPsecPolicy          = "ipsec-policy"
	CauseARPOff               = "arp-off"
	CauseStaticNeighbour      = "static-neighbour"
	CauseConntrackTimeout     = "conntrack-timeout"
	CauseServerStopped        = "server-stopped"
	CauseNamesDiffer          = "names-differ"
	CauseResolverSilent       = "resolver-silent"
	CauseDuplicateAddress     = "duplicate-address"
	CauseOtherMAC             = "other-mac"
	CauseDHCPServer           = "dhcp-server"
	CauseLocalPorts           = "local-ports"
	CauseConntrackFull        = "conntrack-full"
	CauseNoResolver           = "no-resolver"
	CauseDockerdSetting       = "dockerd-setting"
	CauseSocketPath           = "docker-socket-path"
	CauseRegistryCertificates = "registry-certificates"
	CauseProxyFailed          = "proxy-failed"
	CauseNoSubordinates       = "no-subordinate-ids"
	CauseDockerdConfig        = "dockerd-config"
	CauseDockerdPIDFile       = "dockerd-pid-file"
	CauseAddressInUse         = "address-in-use"
	CauseAddressPools         = "docker-address-pools"
	CauseDockerdFirewalld     = "dockerd-firewalld"
	CauseKernelLimit          = "kernel-limit"
	CauseDockerdCgroup        = "dockerd-cgroup"
	CauseDockerdDataRoot      = "dockerd-data-root"
	CauseKernelFeature        = "kernel-feature"
	CauseContainerdDown       = "containerd-down"
	CauseRuntimeDenied        = "runtime-denied"
	CauseClientTooOld         = "docker-client-too-old"
	CauseDaemonFailed         = "daemon-failed"
	CauseContainerFailed      = "container-failed"
)

// Rule knows one cause.
type Rule struct {
	Cause string
	// Title is the cause in plain words, for a headline.
	Title string
	// About says in one line what the cause is.
	About string
	// Remedies are those that help against it, the narrowest first; none where it
	// is not for the runner to restore.
	Remedies []string

	layer layer
	// dependsOn are causes of the same layer that are taken first where both explain as
	// much: this one shows behind them.
	dependsOn []string
	// match makes the hypotheses that the observations suggest; nil where packets are seen
	// to end by it, and that alone tells.
	match func(v *view) []Hypothesis
	// means is what a finding of this cause means, as a sentence without its stop;
	// summary makes all of the sentences where that is not enough.
	means   string
	summary func(v *view, f model.Finding) string
	// excludes are causes that can't be where this one is.
	excludes []exclusion
	// absent says why the cause does not hold in a run where nothing failed; nil
	// where the observations do not show it.
	absent func(v *view) *model.Refuted
}

// layer is how far from the wire a cause is.
type layer int

const (
	layerRunner     layer = iota // the runner's own way out
	layerForwarding              // what the runner does with guests' packets
	layerGuest                   // addresses, names and sizes
	layerWeb                     // what is between here and the sites
	layerSite                    // one site
	layerMachine                 // the machine and its daemons
	layerUnnamed                 // what has no name of its own
)

// exclusion is a cause that can't be where another one is, if the run shows why.
type exclusion struct {
	cause string
	show  func(v *view, f model.Finding) (why string, refs []string, ok bool)
}

// Docs returns where the documentation tells of the cause.
func (r Rule) Docs() string { return "docs/diagnosis.md#" + r.Cause }

// Rules lists the rules, of two that explain the same the better one first.
func Rules() []Rule { return slices.Clone(rules) }

// findRule finds the rule of a cause.
func findRule(cause string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Cause == cause })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// summarize tells what a finding means, in plain sentences: what it is, where, whose it
// is, and whether it was proven.
func (r Rule) summarize(v *view, f model.Finding) string {
	if says, ok := seenText(f); ok {
		return says + proofText(f)
	}
	if r.summary != nil {
		return r.summary(v, f)
	}
	where, detail := "", ""
	if len(f.Environments) > 0 {
		where = " It shows in " + join(f.Environments) + "."
	}
	if len(f.Evidence) > 0 {
		detail = " " + sentence(f.Evidence[0].Text) + "."
	}
	return r.means + "." + detail + where + v.scope(f) + proofText(f)
}

// exclude lists the causes that can't be where a finding's is.
func (r Rule) exclude(v *view, f model.Finding) []model.Refuted {
	var all []model.Refuted
	for _, x := range r.excludes {
		if why, refs, ok := x.show(v, f); ok {
			all = append(all, model.Refuted{Cause: x.cause, Why: why, Refs: refs})
		}
	}
	return all
}
