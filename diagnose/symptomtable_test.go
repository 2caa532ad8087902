package diagnose_test

import (
	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

const unknown = "undetermined"

// symptom is what was seen, and what it means.
type symptom struct {
	seen  string
	run   func() model.Run
	cause string // empty for healthy, unknown for undetermined
}

func dials(r *model.Result, four, six model.Reason) {
	r.Detail.Dials = []model.Dial{{Address: "[2001:db8::10]:80", Reason: six}, {Address: "198.51.100.10:80", Reason: four}}
}

// symptoms are those that the predecessor's reports and our own experiments gave.
var symptoms = []symptom{
	{"IPv6 unreachable at once, IPv4 connect-timeout", func() model.Run {
		run := modeltest.DockerForwardDrop()
		each(&run, at(base, modeltest.Bridged()...), func(r *model.Result) { dials(r, model.ConnectTimeout, model.Unreachable) })
		return run
	}, diagnose.CauseDockerForwardDrop},
	{"DHCP and DNS fine, every TCP to outside times out, runner fine", modeltest.DockerForwardDrop, diagnose.CauseDockerForwardDrop},
	{"guest to host fine, guest to internet not", func() model.Run {
		run := modeltest.DockerForwardDrop()
		for _, p := range modeltest.Bridged() {
			run.Results = append(run.Results, model.Result{Place: p, Round: base, Probe: model.ProbeTCP, Target: "10.77.0.1:53", Attempt: 1, Outcome: model.Pass})
		}
		return run
	}, diagnose.CauseDockerForwardDrop},
	{"dual-stack names fine, IPv4-only names not", func() model.Run {
		run := modeltest.DockerForwardDrop()
		each(&run, first(at(base, modeltest.Bridged()...)), func(r *model.Result) {
			passes(r)
			dials(r, model.ConnectTimeout, "")
		})
		return run
	}, diagnose.CauseDockerForwardDrop},
	{"small replies fine, large ones hang", func() model.Run { return in(modeltest.Bridged(), on(model.ProbePathMTU, fails(model.MTU))) }, diagnose.CauseMTUBlackhole},
	{"everything fine but ICMP", full, ""},
	{"the key's download timed out after 300 s, everything else fine", func() model.Run {
		return everywhere(on(model.ProbeAptUpdate, fails(model.ReadTimeout)))
	}, diagnose.CauseSlowMirror},
	{"IPv6 addresses, \"Network is unreachable\", and whatever tries IPv4 as well gets through", func() model.Run {
		run := full()
		run.Results = append(run.Results, model.Result{Place: modeltest.LXDContainer, Round: base, Probe: model.ProbeFirst, Target: "archive.lab.test:80",
			Attempt: 1, Outcome: model.Fail, Reason: model.Unreachable, Detail: model.Detail{Dials: []model.Dial{{Address: "[2001:db8::10]:80", Reason: model.Unreachable}}}})
		return run
	}, diagnose.CauseV6NoRoute},
	{"no IPv6 at all, unreachable at once, everything else fine", func() model.Run {
		run := full()
		each(&run, at(base, modeltest.Runner), func(r *model.Result) {
			passes(r)
			dials(r, "", model.Unreachable)
		})
		return run
	}, ""},
	{"Docker's socket is closed to this user", func() model.Run {
		return in([]model.Place{modeltest.Runner}, on(model.ProbeDockerPing, fails(model.Permission)))
	}, diagnose.CauseSocketDenied},
	{"the machine did not start: no memory", func() model.Run {
		return lostStart(modeltest.QEMUUser, "QEMU ended: exit status 1; QEMU's log: cannot set up guest memory 'pc.ram': Cannot allocate memory")
	}, diagnose.CauseOutOfMemory},
	{"the machine ended while its agent was waited for", func() model.Run {
		return lostStart(modeltest.QEMUUser, "wait for answer of the guest agent: QEMU ended: exit status 1; could not load PC BIOS 'bios-256k.bin'")
	}, unknown},
	{"the same, and /dev/kvm has no driver", func() model.Run {
		run := lostStart(modeltest.QEMUUser, "wait for answer of the guest agent: QEMU ended: exit status 1")
		factsOf(&run, modeltest.Runner).KVM = model.Device{Present: true, Error: "open /dev/kvm: no such device or address"}
		return run
	}, unknown},
	{"a container was killed for its memory", func() model.Run {
		return in([]model.Place{modeltest.Runner}, on(model.ProbeDockerRun, func(r *model.Result) {
			fails(model.ContainerFailed)(r)
			r.Detail.Message = "it ended with code 137"
		}))
	}, diagnose.CauseOutOfMemory},
	{"an installation took too long and was killed for it", func() model.Run {
		return in([]model.Place{modeltest.Runner}, on(model.ProbeAptInstall, func(r *model.Result) {
			fails(model.PackageManager)(r)
			r.Detail.Message = "purge hello: context deadline exceeded: signal: killed"
		}))
	}, unknown},
	{"a start took too long and was killed for it", func() model.Run {
		run := lostStart(modeltest.QEMUUser, "the start took too long: it was given up after 15m0s: QEMU ended: signal: killed")
		run.Results[len(run.Results)-1].Reason = model.DeadlineExceeded
		return run
	}, unknown},
	{"a step of a start took too long and was killed for it", func() model.Run {
		return lostStart(modeltest.DindRun, "install Docker: context deadline exceeded: signal: killed")
	}, unknown},
	{"a machine was killed, and nobody says that it took too long", func() model.Run {
		return lostStart(modeltest.QEMUUser, "QEMU ended: signal: killed")
	}, diagnose.CauseOutOfMemory},
	{"a pull failed: no space left", func() model.Run {
		return everywhere(on(model.ProbeRegistryPull, fails(model.DiskFull)))
	}, diagnose.CauseDiskFull},
	{"names fail in guests alone", func() model.Run { return in(modeltest.Bridged(), namesFail(model.DNSTimeout)) }, diagnose.CauseDNSBlocked},
	{"names fail everywhere", func() model.Run { return everywhere(namesFail(model.DNSServFail)) }, diagnose.CauseDNSUpstreamDead},
	{"the service did not start: no space left", func() model.Run {
		return lostStart(modeltest.DindRun, "dockerd ended by itself: write /var/lib/docker/x: no space left on device")
	}, diagnose.CauseDiskFull},
	{"the service did not start: permissions", func() model.Run {
		return lostStart(modeltest.DindRun, "dockerd ended by itself: failed to start daemon: mkdir /sys/fs/cgroup/docker: operation not permitted")
	}, diagnose.CauseNoPrivilege},
	{"the service did not start: its storage", func() model.Run {
		return lostStart(modeltest.DindRun, "dockerd ended by itself: error initializing graphdriver: driver not supported: overlay2")
	}, diagnose.CauseStorageDriver},
	{"the service did not start: its firewall", func() model.Run {
		return lostStart(modeltest.DindRun, "dockerd ended by itself: failed to create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: exit status 3")
	}, diagnose.CauseDockerdIPTables},
}
