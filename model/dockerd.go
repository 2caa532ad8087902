package model

// Dockerd is dockerd in the place where it runs, or is to run: its process, its settings,
// and what of the place these need.
type Dockerd struct {
	// PID and Process are those of who has its socket; 0 and empty where nobody was found.
	PID     int    `json:"pid,omitempty"`
	Process string `json:"process,omitempty"`
	// ByName is set where nobody was seen to have the socket, and a process is called dockerd.
	ByName bool `json:"by_name,omitempty"`
	// Stopped is set where that process is stopped by a signal (state T), not by a tracer.
	Stopped bool `json:"stopped,omitempty"`
	// Settings are those of its configuration file and its flags that decide about its
	// containers.
	Settings []DockerSetting `json:"settings,omitempty"`
	// ProxyVariables are the names of those of its environment that name a proxy.
	ProxyVariables []string `json:"proxy_variables,omitempty"`
	// NotASocket is the path of its socket where something else is there, Kind says what.
	NotASocket string `json:"not_a_socket,omitempty"`
	Kind       string `json:"kind,omitempty"` // directory or file
	// Runtime is the default runtime, where its program, RuntimeProgram, is not there.
	Runtime        string `json:"runtime,omitempty"`
	RuntimeProgram string `json:"runtime_program,omitempty"`
	// ReadOnly are the data root, or directories in it, that are mounted read-only.
	ReadOnly []string `json:"read_only,omitempty"`
	// Root is the data root, RootType its file system's type, ProjectQuota whether that is
	// mounted with project quotas.
	Root         string `json:"root,omitempty"`
	RootType     string `json:"root_type,omitempty"`
	ProjectQuota bool   `json:"project_quota,omitempty"`
	// Systemd says whether systemd runs there.
	Systemd bool `json:"systemd,omitempty"`
	// Certificates are the faults of what it has for registries in certs.d.
	Certificates []CertificateFault `json:"certificates,omitempty"`
}

// DockerSetting is one entry of dockerd's configuration: of a list each entry is one, of an
// object each is KEY=VALUE.
type DockerSetting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	// From is the path of the file, or FromFlags.
	From string `json:"from"`
}

// FromFlags is where settings come from that are flags of the process.
const FromFlags = "its flags"

// CertificateFault is a file of certs.d that dockerd cannot use.
type CertificateFault struct {
	Registry string `json:"registry"` // HOST or HOST:PORT, as the directory is called
	File     string `json:"file"`
	// Lacks is the file that has to be beside it; empty for one that does not fit what is
	// beside it.
	Lacks string `json:"lacks,omitempty"`
}

// LogServer is the server of a log driver.
type LogServer struct {
	Driver  string `json:"driver"`
	Address string `json:"address"`
	// Reason says why it was not connected to; empty where it was.
	Reason Reason `json:"reason,omitempty"`
}

// CgroupTasks is a limit of processes and threads (pids.max) in a cgroup.
type CgroupTasks struct {
	Cgroup string `json:"cgroup"`
	Max    uint64 `json:"max"`
	Used   uint64 `json:"used"`
	// Peak is the most that it has had; 0 where the kernel does not count that.
	Peak uint64 `json:"peak,omitempty"`
}

// Reached reports whether there was no room for more, now or before.
func (t CgroupTasks) Reached() bool { return max(t.Used, t.Peak) >= t.Max }

// Setting is the first entry of a key; false where it is not set.
func (d *Dockerd) Setting(key string) (DockerSetting, bool) {
	if d != nil {
		for _, s := range d.Settings {
			if s.Key == key {
				return s, true
			}
		}
	}
	return DockerSetting{}, false
}
