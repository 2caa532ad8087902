package modeltest

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// On is a kernel setting that is 1.
func On() *bool { on := true; return &on }

// facts are those of one place; n keeps addresses apart.
func facts(p model.Place, n int) model.Facts {
	f := model.Facts{
		Place: p, Taken: Start, Hostname: p.Environment, Platform: "simulated", Kernel: "6.1.0-28-amd64",
		OS:     model.OS{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
		Cgroup: "v1", Capabilities: model.Capabilities{Effective: []string{"cap_net_admin", "cap_net_raw"}},
	}
	switch {
	case p == Runner:
		runnerFacts(&f)
	case bridged(p):
		guest(&f, fmt.Sprintf("10.77.0.%d/24", 100+n), "10.77.0.1")
	case p == QEMUUser:
		guest(&f, "10.0.2.15/24", "10.0.2.2")
	default:
		guest(&f, fmt.Sprintf("10.87.0.%d/16", 10+n), "10.87.0.1")
		f.Docker = &model.DockerFacts{Version: "20.10.24", API: "1.41", StorageDriver: "overlay2", Firewall: "iptables", CgroupVersion: "1"}
	}
	return f
}

func runnerFacts(f *model.Facts) {
	f.Interfaces = []model.Interface{
		{Name: "lo", Type: "device", MTU: 65536, Up: true, Addresses: []string{"127.0.0.1/8"}},
		{Name: "eth0", Type: "veth", MAC: "02:00:00:00:00:01", MTU: 1500, Up: true, Addresses: []string{"198.51.100.200/24"}},
		{Name: "docker0", Type: "bridge", MTU: 1500, Addresses: []string{"172.17.0.1/16"}},
		{Name: "lxdbr0", Type: "bridge", MTU: 1500, Up: true, Addresses: []string{"10.77.0.1/24", "fd42:77::1/64"}},
	}
	f.Routes = []model.Route{
		{Destination: "default", Gateway: "198.51.100.1", Device: "eth0"},
		{Destination: "10.77.0.0/24", Device: "lxdbr0", Source: "10.77.0.1"},
	}
	f.Resolvers = []string{"198.51.100.53"}
	f.IPForward = On()
	f.Forward = chains("ACCEPT", 0)
	f.Docker = &model.DockerFacts{Version: "20.10.24", API: "1.41", StorageDriver: "overlay2", Firewall: "iptables", CgroupVersion: "1"}
}

func guest(f *model.Facts, address, gateway string) {
	f.Interfaces = []model.Interface{
		{Name: "lo", Type: "device", MTU: 65536, Up: true, Addresses: []string{"127.0.0.1/8"}},
		{Name: "eth0", Type: "veth", MTU: 1500, Up: true, Addresses: []string{address}},
	}
	f.Routes = []model.Route{{Destination: "default", Gateway: gateway, Device: "eth0"}}
	f.Resolvers = []string{gateway}
}
