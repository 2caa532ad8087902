package model

import "time"

// Facts is what was read about a place before it was probed. Whatever could not
// be read is named in Errors, never left out in silence.
type Facts struct {
	Place
	// Round is the one that they were read again in, after a change for which the
	// place was restarted; empty for what was read before anything was probed.
	Round    string    `json:"round,omitempty"`
	Taken    time.Time `json:"taken"`
	Hostname string    `json:"hostname"`
	// Platform is azure, github-hosted, simulated or unknown.
	Platform string `json:"platform"`
	Kernel   string `json:"kernel"`
	OS       OS     `json:"os"`

	Interfaces []Interface `json:"interfaces"`
	Routes     []Route     `json:"routes"`
	// Resolvers are the servers of /etc/resolv.conf.
	Resolvers []string `json:"resolvers"`
	Search    []string `json:"search,omitempty"`

	// Hosts are the lines of /etc/hosts about addresses of other machines.
	Hosts []HostsLine `json:"hosts,omitempty"`
	// LocalPorts are those that connections get which name none (ip_local_port_range).
	LocalPorts *PortRange `json:"local_ports,omitempty"`

	// IPForward and the next ones are nil where the kernel does not have the setting.
	IPForward       *bool `json:"ip_forward,omitempty"`
	IPv6Forward     *bool `json:"ipv6_forward,omitempty"`
	BridgeNetfilter *bool `json:"bridge_netfilter,omitempty"`
	// Forward holds the chains that decide about forwarded packets.
	Forward []ForwardChain `json:"forward"`

	// SourceNAT is how many rules on the postrouting hook translate sources, of all rule
	// sets; nil where that was not read.
	SourceNAT *int `json:"source_nat,omitempty"`

	// Docker is nil where no Docker socket is.
	Docker *DockerFacts `json:"docker,omitempty"`
	// Engine is nil where neither dockerd nor its configuration is.
	Engine *Dockerd `json:"engine,omitempty"`
	// NoSubordinates are /etc/subuid and /etc/subgid where they have no range for root.
	NoSubordinates []string `json:"no_subordinates,omitempty"`

	Capabilities Capabilities `json:"capabilities"`
	// Cgroup is v1, v2 or hybrid.
	Cgroup string `json:"cgroup"`
	KVM    Device `json:"kvm"`
	// Disks are the file systems that Docker's data are on or could be moved to.
	Disks []Disk `json:"disks,omitempty"`
	// Limits are those of the kernel that daemons and containers run into.
	Limits []Limit `json:"limits,omitempty"`

	// Errors says what could not be read and why.
	Errors []string `json:"errors,omitempty"`
}

// HostsLine is a line of /etc/hosts: names that no resolver is asked for.
type HostsLine struct {
	Address string   `json:"address"`
	Names   []string `json:"names"`
}

// PortRange is from First to Last.
type PortRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// OS is the os-release of a place.
type OS struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Name    string `json:"name"`
}

// Interface is a network interface.
type Interface struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"` // the kernel's link type: veth, bridge, device, tuntap
	MAC       string   `json:"mac,omitempty"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`
	Master    string   `json:"master,omitempty"`
	Addresses []string `json:"addresses"`
}

// Route is a route of the main table.
type Route struct {
	Destination string `json:"destination"` // CIDR; "default" for the default route
	Gateway     string `json:"gateway,omitempty"`
	Device      string `json:"device"`
	Source      string `json:"source,omitempty"`
	Metric      int    `json:"metric,omitempty"`
}

// ForwardChain is a base chain on the forward hook, as one of the rule sets
// of a kernel shows it.
type ForwardChain struct {
	// Backend is iptables-nft, iptables-legacy or nftables.
	Backend string `json:"backend"`
	// Family is ip, ip6, inet or bridge.
	Family string `json:"family"`
	Table  string `json:"table"`
	Chain  string `json:"chain"`
	// Policy is ACCEPT or DROP; Packets and Bytes are what reached it.
	Policy  string `json:"policy"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	// DockerUser says whether the table has a DOCKER-USER chain.
	DockerUser bool `json:"docker_user,omitempty"`
	// Drops are the rules in reach of the chain that drop or reject.
	Drops []DropRule `json:"drops,omitempty"`
}

// DropRule is a rule that drops or rejects forwarded packets.
type DropRule struct {
	Chain   string `json:"chain"`
	Rule    string `json:"rule"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// DockerFacts is what the Docker daemon says about itself.
type DockerFacts struct {
	Version string `json:"version,omitempty"`
	API     string `json:"api,omitempty"`
	// MinAPI is the oldest API that the daemon still speaks.
	MinAPI        string `json:"min_api,omitempty"`
	StorageDriver string `json:"storage_driver,omitempty"`
	// Root is the directory of the daemon's data.
	Root string `json:"root,omitempty"`
	// Firewall is the daemon's firewall backend: iptables or nftables (named by
	// the daemon from 28.1), iptables for every older one.
	Firewall      string `json:"firewall,omitempty"`
	CgroupVersion string `json:"cgroup_version,omitempty"`
	// CgroupDriver is cgroupfs or systemd, Runtime the default runtime and RuntimeProgram its program.
	CgroupDriver   string `json:"cgroup_driver,omitempty"`
	Runtime        string `json:"runtime,omitempty"`
	RuntimeProgram string `json:"runtime_program,omitempty"`
	// Error says why the daemon could not be asked.
	Error string `json:"error,omitempty"`
}

// Capabilities are those of the probing process.
type Capabilities struct {
	Effective []string `json:"effective"`
	// Missing are capabilities that the kernel knows and the bounding set lacks.
	Missing []string `json:"missing,omitempty"`
}

// Disk is the file system of a directory.
type Disk struct {
	Path string `json:"path"`
	// Overlay says that it is an overlay itself, on which overlay2 cannot stand.
	Overlay bool `json:"overlay,omitempty"`
	// SizeMB and FreeMB are in MiB; what is free is what an ordinary user may use.
	SizeMB uint64 `json:"size_mb"`
	FreeMB uint64 `json:"free_mb"`
	// Inodes and FreeInodes are 0 both where the file system does not count them.
	Inodes     uint64 `json:"inodes,omitempty"`
	FreeInodes uint64 `json:"free_inodes,omitempty"`
	// Device tells file systems apart.
	Device uint64 `json:"device"`
}

// Limit is one of the kernel's limits of something other than space.
type Limit struct {
	// Name is the sysctl's, or that of the file of the cgroup.
	Name string `json:"name"`
	// Max is the limit, Used how much of it is taken, nil where that was not counted.
	Max  uint64  `json:"max"`
	Used *uint64 `json:"used,omitempty"`
}

// Reached reports whether nothing more of it is available.
func (l Limit) Reached() bool { return l.Max == 0 || l.Used != nil && *l.Used >= l.Max }

// Device is a device node, proven by opening it.
type Device struct {
	Present bool   `json:"present"`
	Usable  bool   `json:"usable"`
	Error   string `json:"error,omitempty"`
}

// Watch is what the runner's forward chains and interfaces counted while one
// place was probed.
type Watch struct {
	Place
	Round  string         `json:"round"`
	Before []ForwardChain `json:"before"`
	After  []ForwardChain `json:"after"`
	// Hops are the runner's interfaces; none where they could not be watched.
	Hops []Hop `json:"hops,omitempty"`
	// Sightings are what became of packets; nil where none were looked for.
	Sightings *Sightings `json:"sightings,omitempty"`
}

// Ref is how evidence points at the watch.
func (w Watch) Ref() string { return "watches/" + w.Key() + "/" + w.Round }

// Rise is how many packets reached the policy of one chain during the watch.
type Rise struct {
	Chain   ForwardChain `json:"chain"`
	Packets uint64       `json:"packets"`
}

// PolicyRises lists the chains whose policy counter rose during the watch.
func (w Watch) PolicyRises() []Rise {
	type key struct{ backend, family, table, chain string }
	before := map[key]uint64{}
	for _, c := range w.Before {
		before[key{c.Backend, c.Family, c.Table, c.Chain}] = c.Packets
	}
	var rises []Rise
	for _, c := range w.After {
		if old, ok := before[key{c.Backend, c.Family, c.Table, c.Chain}]; ok && c.Packets > old {
			rises = append(rises, Rise{Chain: c, Packets: c.Packets - old})
		}
	}
	return rises
}
