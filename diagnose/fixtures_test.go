package diagnose_test

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// fixtures are runs with one cause each, as the simulated runner showed them.
func fixtures() map[string]func() model.Run {
	return map[string]func() model.Run{
		diagnose.CauseDockerForwardDrop:   modeltest.DockerForwardDrop,
		diagnose.CauseFirewallForwardDrop: func() model.Run { return firewalled("FORWARD") },
		diagnose.CauseIPForwardOff:        unforwarded,
		diagnose.CauseNATOff:              func() model.Run { return silent(hop(9, 0, 0, 9)) },
		diagnose.CauseUpstreamBlocks:      func() model.Run { return silent(hop(9, 9, 0, 0)) },
		diagnose.CauseDockerdIPTables:     dockerUntranslated,
		diagnose.CauseDNSUpstreamDead:     func() model.Run { return everywhere(namesFail(model.DNSTimeout)) },
		diagnose.CauseDNSBlocked:          func() model.Run { return in(modeltest.Bridged(), namesFail(model.DNSTimeout)) },
		diagnose.CauseDHCPBlocked:         withoutLease,
		diagnose.CauseRunnerOffline:       func() model.Run { return everywhere(onTCP(fails(model.ConnectTimeout))) },
		diagnose.CauseSubnetOverlap:       overlapping,
		diagnose.CauseMTUBlackhole:        func() model.Run { return everywhere(on(model.ProbePathMTU, fails(model.MTU))) },
		diagnose.CauseAAAAOnly:            func() model.Run { return everywhere(both46(true)) },
		diagnose.CauseV6NoRoute:           func() model.Run { return everywhere(both46(false)) },
		diagnose.CauseProxyRequired:       func() model.Run { return everywhere(proxied) },
		diagnose.CauseTLSIntercepted:      func() model.Run { return everywhere(on(model.ProbeHTTPS, fails(model.TLSUntrusted))) },
		diagnose.CauseClockSkew:           func() model.Run { return everywhere(on(model.ProbeHTTPS, fails(model.TLSExpired))) },
		diagnose.CauseRegistryDown:        func() model.Run { return everywhere(site("registry", fails(model.ServerError))) },
		diagnose.CauseRegistryRateLimit:   func() model.Run { return everywhere(on(model.ProbeRegistryPull, fails(model.RateLimited))) },
		diagnose.CauseAptMirror5xx:        func() model.Run { return everywhere(on(model.ProbeAptUpdate, fails(model.ServerError))) },
		diagnose.CauseSlowMirror:          func() model.Run { return everywhere(on(model.ProbeAptUpdate, fails(model.DeadlineExceeded))) },
		diagnose.CauseRefusedUpstream:     refusedByAll,
		diagnose.CauseUnansweredUpstream:  unansweredByAll,
		diagnose.CauseDiskFull:            func() model.Run { return everywhere(on(model.ProbeRegistryPull, fails(model.DiskFull))) },
		diagnose.CauseStorageDriver:       func() model.Run { return everywhere(on(model.ProbeDockerPing, fails(model.StorageDriver))) },
		diagnose.CauseNoPrivilege: func() model.Run {
			return lostStart(modeltest.DindRun, "dockerd ended by itself: exit status 1; the end of dockerd.log:\nfailed to start daemon: "+
				"Error initializing network controller: iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)")
		},
		diagnose.CauseKVMDenied: func() model.Run {
			run := lostStart(modeltest.QEMUUser, "could not access KVM kernel module: permission denied")
			factsOf(&run, modeltest.Runner).KVM = model.Device{Present: true, Error: "open /dev/kvm: permission denied"}
			return run
		},
		diagnose.CauseOutOfMemory: func() model.Run {
			return lostStart(modeltest.QEMUUser, "QEMU ended: cannot set up guest memory: Cannot allocate memory")
		},
		diagnose.CauseSocketDenied: func() model.Run {
			return in([]model.Place{modeltest.Runner}, func(r *model.Result) {
				if r.Probe == model.ProbeDockerPing {
					fails(model.Permission)(r)
				}
				if r.Probe == model.ProbeRegistryPull || r.Probe == model.ProbeDockerRun {
					fails(model.DaemonDown)(r)
				}
			})
		},
		diagnose.CauseDroppedByRule: func() model.Run { return seen(model.Sighting{Reply: true, Fate: model.Dropped, Rule: &someRule}) },
		diagnose.CauseRPFilter: func() model.Run {
			return seen(model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "IP_RPFILTER", Interface: "lxdbr0"}})
		},
		diagnose.CauseDroppedByKernel: func() model.Run {
			return seen(model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "IP_CSUM", Function: "ip_rcv_core"}})
		},
		diagnose.CauseRedirected: func() model.Run {
			return seen(model.Sighting{Fate: model.Redirected, Rule: &model.FirewallRule{
				Family: "ip", Table: "nat", Chain: "site", Hook: "prerouting", Handle: 4, Text: "tcp dport 80 dnat to 10.77.0.1:3128"},
				Redirect: netip.MustParseAddrPort("10.77.0.1:3128")})
		},
		diagnose.CauseConntrackFull: func() model.Run {
			run := seen(model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "NETFILTER_DROP", Function: "nf_hook_slow"}})
			for i := range run.Watches {
				if s := run.Watches[i].Sightings; s != nil {
					s.Conntrack = &model.Conntrack{Count: 65000, Max: 65536}
				}
			}
			return run
		},
		diagnose.CauseAltered:          around(diagnose.CauseAltered),
		diagnose.CauseTrafficControl:   around(diagnose.CauseTrafficControl),
		diagnose.CauseIPsecPolicy:      around(diagnose.CauseIPsecPolicy),
		diagnose.CauseARPOff:           around(diagnose.CauseARPOff),
		diagnose.CauseStaticNeighbour:  around(diagnose.CauseStaticNeighbour),
		diagnose.CauseConntrackTimeout: around(diagnose.CauseConntrackTimeout),
		diagnose.CauseNamesDiffer:      namesDiffer,
		diagnose.CauseResolverSilent:   resolverSilent,
		diagnose.CauseLocalPorts:       fewPorts,
		diagnose.CauseDuplicateAddress: conflicting,
		diagnose.CauseOtherMAC:         otherMAC,
		diagnose.CauseServerStopped:    func() model.Run { return unserved(stoppedServer) },
		diagnose.CauseDHCPServer:       func() model.Run { return unoffered(leases("dhcp-ignore=tag:!known")) },
		diagnose.CauseMisrouted:        func() model.Run { return routed(misled) },
		diagnose.CauseNobodyListens:    func() model.Run { return unserved() },
		diagnose.CauseNoResolver: func() model.Run {
			run := everywhere(namesFail(model.NoResolver))
			for i := range run.Facts {
				run.Facts[i].Resolvers = nil
			}
			return run
		},
		diagnose.CauseDockerdSetting: func() model.Run { return logServer(noContainer(loggingToNobody), model.Refused) },
		diagnose.CauseSocketPath: func() model.Run {
			return noDockerd(model.Dockerd{NotASocket: "/var/run/docker.sock", Kind: "directory"})
		},
		diagnose.CauseRegistryCertificates: func() model.Run { return servedPull(clientCertificate) },
		diagnose.CauseProxyFailed:          proxyFails,
		diagnose.CauseNoSubordinates: func() model.Run {
			run := lostStart(modeltest.LXDContainer, "start the LXD instance: newuidmap: uid range [0-1000000000) not allowed")
			factsOf(&run, modeltest.Runner).NoSubordinates = []string{"/etc/subuid", "/etc/subgid"}
			return run
		},
		diagnose.CauseDockerdConfig:    daemonThatSays(diagnose.CauseDockerdConfig),
		diagnose.CauseDockerdPIDFile:   daemonThatSays(diagnose.CauseDockerdPIDFile),
		diagnose.CauseDockerdFirewalld: daemonThatSays(diagnose.CauseDockerdFirewalld),
		diagnose.CauseDockerdCgroup:    daemonThatSays(diagnose.CauseDockerdCgroup),
		diagnose.CauseContainerdDown:   daemonThatSays(diagnose.CauseContainerdDown),
		diagnose.CauseDaemonFailed:     daemonThatSays(diagnose.CauseDaemonFailed),
		diagnose.CauseAddressPools: func() model.Run {
			return ended("failed to start daemon: error creating default \"bridge\" network: all predefined address pools have been fully subnetted")
		},
		diagnose.CauseDockerdDataRoot: func() model.Run {
			return ended("failed to start daemon: error while opening volume store metadata database: timeout")
		},
		diagnose.CauseAddressInUse:    containerThatSays(diagnose.CauseAddressInUse),
		diagnose.CauseKernelLimit:     containerThatSays(diagnose.CauseKernelLimit),
		diagnose.CauseKernelFeature:   containerThatSays(diagnose.CauseKernelFeature),
		diagnose.CauseRuntimeDenied:   containerThatSays(diagnose.CauseRuntimeDenied),
		diagnose.CauseClientTooOld:    containerThatSays(diagnose.CauseClientTooOld),
		diagnose.CauseContainerFailed: containerThatSays(diagnose.CauseContainerFailed),
		diagnose.CauseAgentNotReady:   func() model.Run { return lostStart(modeltest.QEMUUser, "the agent did not answer within 60s") },
	}
}

// full is a healthy run in which every place made every probe.
func full() model.Run {
	run := modeltest.Healthy()
	for _, item := range run.Plan.Items {
		add := func(probe, target string) {
			r := model.Result{Place: item.Place, Round: base, Probe: probe, Target: target, Attempt: 1, Outcome: model.Pass, Start: modeltest.Start}
			if probe == model.ProbeDNSAAAA {
				r.Detail.Values = map[string]string{"addresses": "2001:db8::10"}
			}
			run.Results = append(run.Results, r)
		}
		add(model.ProbeHTTPS, "https://download.lab.test/key")
		add(model.ProbeDNSAAAA, "archive.lab.test")
		add(model.ProbePathMTU, "http://archive.lab.test/blob/65536")
		add(model.ProbeAptUpdate, "deb http://archive.lab.test/debian bookworm main")
		add(model.ProbeAptInstall, "hello")
		if !slices.Contains(modeltest.Bridged(), item.Place) && item.Place != modeltest.QEMUUser {
			add(model.ProbeDockerPing, "daemon")
			add(model.ProbeRegistryPull, "registry.lab.test/library/hello:1")
			add(model.ProbeDockerRun, "registry.lab.test/library/hello:1")
		}
	}
	return run
}

// in changes the results of some places.
func in(places []model.Place, change func(*model.Result)) model.Run {
	run := full()
	each(&run, func(r model.Result) bool { return slices.Contains(places, r.Place) }, change)
	return run
}

func everywhere(change func(*model.Result)) model.Run {
	run := full()
	each(&run, func(model.Result) bool { return true }, change)
	return run
}

func on(probe string, change func(*model.Result)) func(*model.Result) {
	return func(r *model.Result) {
		if r.Probe == probe {
			change(r)
		}
	}
}

func onTCP(change func(*model.Result)) func(*model.Result) {
	return func(r *model.Result) {
		if r.Probe == model.ProbeTCP || r.Probe == model.ProbeHTTP || r.Probe == model.ProbeHTTPS {
			change(r)
		}
	}
}

// namesFail is a place in which no name resolves.
func namesFail(why model.Reason) func(*model.Result) {
	return func(r *model.Result) {
		if r.Probe != model.ProbeDockerPing && r.Outcome == model.Pass {
			fails(why)(r)
		}
	}
}

// site changes what is asked of one host.
func site(name string, change func(*model.Result)) func(*model.Result) {
	return func(r *model.Result) {
		if strings.Contains(r.Target, name) && r.Probe != model.ProbeTCP && r.Probe != model.ProbeDNSA {
			change(r)
		}
	}
}

// proxied is a network that nobody gets out of but by a proxy.
func proxied(r *model.Result) {
	switch r.Probe {
	case model.ProbeHTTP, model.ProbeAptUpdate:
		fails(model.ProxyRequired)(r)
	case model.ProbeHTTPS, model.ProbeTCP:
		fails(model.Refused)(r)
	}
}

// both46 reports that IPv6 addresses alone were tried, as there are no others or not.
func both46(only bool) func(*model.Result) {
	return func(r *model.Result) {
		switch {
		case r.Probe == model.ProbeDNSA && only:
			fails(model.DNSNoData)(r)
		case r.Probe == model.ProbeTCP, r.Probe == model.ProbeHTTP, r.Probe == model.ProbeHTTPS, r.Probe == model.ProbePathMTU:
			fails(model.Unreachable)(r)
			r.Detail.Dials = []model.Dial{{Address: "[2001:db8::10]:80", Reason: model.Unreachable}}
		}
	}
}

// hop is what the runner's interfaces saw of a guest: TCP SYNs on lxdbr0,
// those that left on eth0 translated, their answers, and packets that left as
// they were.
func hop(inside, out, back, untranslated uint64) []model.Hop {
	return []model.Hop{
		{Interface: "eth0", Role: model.RoleUplink, Place: model.Flow{Out: untranslated, SYN: untranslated},
			Runner: model.Flow{Out: out, SYN: out, Back: back, SYNACK: back}},
		{Interface: "lxdbr0", Role: model.RoleBridge, Place: model.Flow{Out: inside, SYN: inside, Back: back, SYNACK: back}},
	}
}

// silent is a run in which the guests get no answer and no rule on the runner
// drops anything.
func silent(hops []model.Hop) model.Run {
	run := modeltest.DockerForwardDrop()
	factsOf(&run, modeltest.Runner).Forward[0].Policy = "ACCEPT"
	for i, w := range run.Watches {
		run.Watches[i] = modeltest.Watch(w.Place, base, "ACCEPT", 0, 0)
		if slices.Contains(modeltest.Bridged(), w.Place) {
			run.Watches[i].Hops = slices.Clone(hops)
		}
	}
	return run
}

// dockerUntranslated is a run whose containers' packets leave as they are.
func dockerUntranslated() model.Run {
	run := full()
	for _, p := range []model.Place{modeltest.DindBuild, modeltest.DindRun} {
		each(&run, func(r model.Result) bool { return r.Place == p }, namesFail(model.DNSTimeout))
		f := factsOf(&run, p)
		f.Interfaces[1].Addresses, f.Routes[0].Gateway, f.Resolvers = []string{"172.17.0.9/16"}, "172.17.0.1", []string{"198.51.100.53"}
		watchOf(&run, p, base).Hops = []model.Hop{
			{Interface: "eth0", Role: model.RoleUplink, Place: model.Flow{Out: 9, DNSQueries: 9}},
			{Interface: "docker0", Role: model.RoleBridge, Place: model.Flow{Out: 9, DNSQueries: 9}},
		}
	}
	return run
}

// withoutLease is a run whose guests got no address.
func withoutLease() model.Run {
	run := in(modeltest.Bridged(), func(r *model.Result) {
		if r.Outcome == model.Pass {
			fails(model.Unreachable)(r)
		}
	})
	for _, p := range modeltest.Bridged() {
		f := factsOf(&run, p)
		f.Interfaces[1].Addresses, f.Routes, f.Resolvers = []string{"fe80::1/64"}, nil, nil
	}
	return run
}

// lostStart is a run in which one environment did not come up.
func lostStart(p model.Place, message string) model.Run {
	run := full()
	without(&run, func(r model.Result) bool { return r.Place == p })
	run.Results = append(run.Results, model.Result{
		Place: p, Round: base, Probe: model.ProbeStart, Target: p.Environment, Attempt: 1,
		Outcome: model.Error, Reason: model.NotStarted, Start: modeltest.Start, Detail: model.Detail{Message: message},
	})
	return run
}
