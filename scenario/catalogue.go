package scenario

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// All lists the catalogue: the control and the baseline, then by what they change.
func All() []Scenario {
	return slices.Concat(plain(), bridges(), cards(), networks(), installs())
}

// instances are LXD's: putting Docker into an emulated QEMU guest takes minutes,
// into an LXD container seconds.
func instances() []string { return []string{model.EnvLXDContainer, model.EnvLXDVM} }

// Distro is the baseline's way of putting Docker in.
const Distro = "distro"

func plain() []Scenario {
	return []Scenario{
		{
			Name: Runner, Environments: []string{model.EnvRunner},
			Changes: "nothing: the runner itself, probed by the same binary and suite",
			Why:     "it is the control: what fails here too has nothing to do with nesting",
		},
		{
			Name: Baseline, Environments: instances(), Install: Distro,
			Changes: "nothing: a guest on LXD's own bridge as `lxd init` makes it, Docker installed with apt-get",
			Why:     "it is what all others are compared with",
		},
		{
			Name: IPv4Only, Environments: instances(), Install: Distro,
			Changes: "a bridge without IPv6 (`ipv6.address=none`), IPv6 off in the guest, apt forced to IPv4",
			Why:     "hosted runners have no IPv6, and a guest that is told of it may try it first and wait",
		},
		{
			Name: Ping, Environments: instances(), Probes: []string{model.ProbeDNSA, model.ProbeICMP},
			Changes: "only names are looked up and pinged",
			Why:     "ping is what people try first, and Azure answers none of it: it says nothing about TCP",
		},
	}
}

func bridges() []Scenario {
	tuned := func(name, changes, why string) Scenario {
		return Scenario{Name: name, Environments: instances(), Install: Distro, Changes: changes, Why: why}
	}
	return []Scenario{
		tuned(TunedMTU, "the bridge's MTU is 1400 (`bridge.mtu=1400`)",
			"where the uplink takes less than 1500 bytes, large packets vanish and small ones pass"),
		tuned(TunedNAT, "the bridge's own NAT rules are off (`ipv4.nat=false`)",
			"two sets of NAT rules, LXD's and Docker's, are often blamed; this shows what LXD's are good for"),
		tuned(TunedFirewall, "LXD's own filter rules for the bridge are off (`ipv4.firewall=false`, `ipv6.firewall=false`)",
			"LXD's rules are suspected of dropping what the guest sends"),
		tuned(TunedDHCP, "addresses from a short range for one minute (`ipv4.dhcp.ranges`, `ipv4.dhcp.expiry=1m`)",
			"a lease that is taken or kept wrongly leaves a guest without an address or route"),
		tuned(TunedDNS, "guests are told the runner's own resolver instead of LXD's (`raw.dnsmasq` with `dhcp-option=6,…`)",
			"LXD's dnsmasq is suspected when names fail; without it queries are forwarded like everything else"),
	}
}

func cards() []Scenario {
	card := func(name, model, changes, why string) Scenario {
		return Scenario{Name: name, Environments: []string{"qemu-bridge"}, NIC: model, Changes: changes, Why: why}
	}
	stock := func(s Scenario) Scenario { s.Kernel = true; return s }
	return []Scenario{
		card(VirtioNet, "virtio-net-pci", "nothing: QEMU's virtio-net card on LXD's bridge, no Docker in the guest",
			"it is the baseline of the other cards"),
		card(VMXNet3, "vmxnet3", "a vmxnet3 card instead of virtio-net",
			"a fault of the card or its driver goes away with another card"),
		stock(card(E1000, "e1000", "an emulated Intel e1000 card instead of virtio-net, with a stock Debian kernel for its driver",
			"the oldest card that every system has a driver for, and no offloads shared with the host")),
		stock(card(E1000E, "e1000e", "an emulated Intel e1000e card instead of virtio-net, with a stock Debian kernel",
			"the same for its successor, on PCI Express")),
		stock(card(RTL8139, "rtl8139", "an emulated Realtek 8139 card instead of virtio-net, with a stock Debian kernel",
			"the simplest card there is")),
		card(Offloads, "virtio-net-pci", "the virtio-net card offers no checksum or segmentation offload (csum, gso, tso, ufo, mrg_rxbuf off)",
			"a checksum that nobody fills in is dropped somewhere on the way: the classic of nested networks"),
	}
}

func networks() []Scenario {
	way := func(name string, environments []string, changes, why string) Scenario {
		s := Scenario{Name: name, Environments: environments, Changes: changes, Why: why}
		if environments[0] == model.EnvLXDContainer {
			s.Install = Distro
		}
		return s
	}
	return []Scenario{
		way(Proxy, instances(), "a forward proxy of nestlab's on the address of a bridge of its own; the guest is told by http_proxy",
			"the guest talks to the runner alone (INPUT), and the proxy gets out as the runner does (OUTPUT): nothing is forwarded"),
		way(ProxyDevice, []string{model.EnvLXDContainer}, "an LXD proxy device for each site, and the sites' names in the guest's /etc/hosts",
			"LXD connects from the runner for a port in the guest: no packet of the guest leaves it"),
		way(Macvlan, instances(), "a macvlan card on the runner's uplink instead of one on the bridge",
			"the guest's frames never enter the runner's IP layer; needs a free address, and a network that takes a second MAC (Azure's does not)"),
		way(Routed, instances(), "a routed card: the runner answers ARP for the guest on its uplink, and routes",
			"no bridge and no NAT, but forwarded all the same"),
		way(TapOnDocker0, []string{model.EnvQEMUBridge}, "the guest's tap is on docker0 instead of LXD's bridge",
			"Docker has accept rules for its own bridge"),
		way(UserMode, []string{model.EnvQEMUUser}, "QEMU's user-mode network instead of a tap on a bridge",
			"the guest's connections are QEMU's own: they pass OUTPUT and are not forwarded"),
	}
}

func installs() []Scenario {
	return []Scenario{
		{
			Name: Retries, Environments: instances(), Install: Distro, Retries: 3,
			Changes: "what fails for a while is tried three times more, with exponential backoff and jitter",
			Why:     "it heals what fails by chance; what is dropped by a rule fails as often as one asks",
		},
		{
			Name: Snap, Environments: instances(), Install: "snap",
			Changes: "Docker comes by `snap install docker`",
			Why:     "another store and another network path than apt's",
		},
		{
			Name: Cached, Environments: instances(), Install: "cached",
			Changes: "Docker's packages and a first image are copied into the guest beforehand, by LXD's API",
			Why:     "what is there already needs no network",
		},
		{
			Name: ConvenienceScript, Environments: instances(), Install: "convenience-script",
			Changes: "Docker comes by a script that is fetched and run, as with get.docker.com",
			Why:     "it is the way that Docker's own documentation offers for a quick start",
		},
	}
}
