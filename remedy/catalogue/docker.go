package catalogue

import (
	"fmt"
	"strings"
)

// The remedies in dockerd's configuration.
const (
	IPForwardNoDrop = "ip-forward-no-drop"
	DockerMTU       = "docker-mtu"
	NetworkMTU      = "docker-network-mtu"
	StorageDriver   = "storage-driver"
	RegistryMirror  = "registry-mirror"
	IPTablesBackend = "iptables-backend"
	DataRoot        = "docker-data-root"
)

const (
	restartDocker = "restart dockerd: systemctl restart docker"
	reloadDocker  = "have dockerd read it: systemctl reload docker"
)

func docker() []Remedy {
	return []Remedy{dockerMTU(), networkMTU(), registryMirror(), storageDriver(), dataRoot(), ipForwardNoDrop(), iptablesBackend()}
}

// formerValue is true of each key that the way back deletes.
const formerValue = "# if the key was set before, give it its former value instead of deleting it"

// formerItem is true of each list that the way back takes an item from.
const formerItem = "# if it was in the list before, leave it there"

// edit shows the change of one key of daemon.json, and its way back, as jq does
// it. The value of a parameter is the program's $v, given by --arg or --argjson:
// nothing that was given is part of a program. A file that is missing or blank is
// made first; one that holds nothing after the way back goes: to dockerd none and
// an empty object are the same. What jq cannot read is never removed. The file is
// written and not replaced: it keeps its owner and mode, and a link leads where it did.
func edit(option, parameter, change, back, after string) (commands, undo func(values) []string) {
	jq := func(v values, program string) string {
		given, file := "", v["file"]
		if strings.Contains(program, "$v") {
			given = fmt.Sprintf("%s v %s ", option, v[parameter])
		}
		return fmt.Sprintf("jq %s'%s' %s > %s.new && cat %s.new > %s && rm %s.new", given, program, file, file, file, file, file)
	}
	commands = func(v values) []string {
		return []string{
			fmt.Sprintf(`mkdir -p "$(dirname %s)"`, v["file"]),
			fmt.Sprintf("grep -qs '[^[:space:]]' %s || echo '{}' > %s", v["file"], v["file"]), jq(v, change), after,
		}
	}
	undo = func(v values) []string {
		out := []string{jq(v, back), fmt.Sprintf(`test "$(jq -c . %s)" != '{}' || rm %s`, v["file"], v["file"]), after}
		if strings.HasPrefix(back, "del(") {
			return append([]string{formerValue}, out...)
		}
		return append([]string{formerItem}, out...)
	}
	return commands, undo
}

const (
	systemctlRestart = "systemctl restart docker"
	systemctlReload  = "systemctl reload docker"
)

func dockerMTU() Remedy {
	commands, undo := edit("--argjson", "mtu", ".mtu = $v", "del(.mtu)", systemctlRestart)
	return Remedy{
		Name: DockerMTU, Breadth: OneDaemon,
		About:        "sets the MTU of Docker's default bridge in daemon.json",
		Opens:        "Nothing.",
		Cost:         "dockerd has to be restarted. Networks made with docker network create keep theirs (they have an option of their own).",
		Precondition: "daemon.json is missing or holds JSON",
		Then:         restartDocker, ThenBack: restartDocker, Restarts: RestartDocker,
		Parameters: []Parameter{mtuParameter(), fileParameter()},
		commands:   commands, undo: undo,
	}
}

func networkMTU() Remedy {
	const option = `."default-network-opts".bridge."com.docker.network.driver.mtu"`
	commands, undo := edit("--arg", "mtu", option+` = $v`,
		`del(`+option+`) | if ."default-network-opts" == {"bridge": {}} then del(."default-network-opts") else . end`, systemctlRestart)
	return Remedy{
		Name: NetworkMTU, Breadth: OneDaemon,
		About:        "sets the MTU of bridge networks that Docker makes from then on, those of docker network create and of compose projects",
		Opens:        "Nothing.",
		Cost:         "dockerd has to be restarted. Networks that are there already keep theirs: make them again. The default bridge has a key of its own (docker-mtu).",
		Precondition: "Docker 24 or later: an older dockerd does not start with this key; there each network is made with -o com.docker.network.driver.mtu=MTU",
		Then:         restartDocker, ThenBack: restartDocker, Restarts: RestartDocker,
		Parameters: []Parameter{mtuParameter(), fileParameter()},
		commands:   commands, undo: undo,
	}
}

func storageDriver() Remedy {
	commands, undo := edit("--arg", "driver", `."storage-driver" = $v`, `del(."storage-driver")`, systemctlRestart)
	return Remedy{
		Name: StorageDriver, Breadth: OneDaemon,
		About:        "sets Docker's storage driver in daemon.json",
		Opens:        "Nothing.",
		Cost:         "dockerd has to be restarted, and does not see the images and containers of the former driver until it is set back. vfs works everywhere, but copies every layer.",
		Precondition: "daemon.json is missing or holds JSON",
		Then:         restartDocker, ThenBack: restartDocker, Restarts: RestartDocker,
		Parameters: []Parameter{
			{Name: "driver", About: "overlay2, fuse-overlayfs, btrfs, zfs or vfs", Required: true, Example: "overlay2",
				check: oneOf("overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs")},
			fileParameter(),
		},
		commands: commands, undo: undo,
	}
}

func dataRoot() Remedy {
	commands, undo := edit("--arg", "path", `."data-root" = $v`, `del(."data-root")`, systemctlRestart)
	return Remedy{
		Name: DataRoot, Breadth: OneDaemon,
		About:        "has dockerd keep images and containers in another directory, on a file system with room",
		Opens:        "Nothing.",
		Cost:         "dockerd has to be restarted, and does not see its former images and containers until it is set back. What it stored there meanwhile stays when it is: remove the directory then.",
		Precondition: "daemon.json is missing or holds JSON; 256 MB are free there",
		Then:         restartDocker, ThenBack: restartDocker + ", and remove the directory", Restarts: RestartDocker,
		Parameters: []Parameter{
			{Name: "path", About: "the directory, which dockerd makes", Required: true, Example: "/mnt/docker", check: absolute},
			fileParameter(),
		},
		commands: commands, undo: undo,
	}
}

func registryMirror() Remedy {
	commands, undo := edit("--arg", "url", `."registry-mirrors" = [$v] + ((."registry-mirrors" // []) - [$v])`,
		`."registry-mirrors" -= [$v] | if ."registry-mirrors" == [] then del(."registry-mirrors") else . end`, systemctlReload)
	return Remedy{
		Name: RegistryMirror, Breadth: OneDaemon,
		About:        "has Docker pull the images of Docker Hub from a mirror first",
		Opens:        "What the mirror serves is run as Docker Hub's.",
		Cost:         "Helps for Docker Hub alone, not for other registries.",
		Precondition: "daemon.json is missing or holds JSON",
		Then:         reloadDocker, ThenBack: reloadDocker,
		Parameters: []Parameter{
			{Name: "url", About: "the mirror", Required: true, Example: "https://mirror.example", check: webAddress},
			fileParameter(),
		},
		commands: commands, undo: undo,
	}
}

func ipForwardNoDrop() Remedy {
	commands, undo := edit("", "", `."ip-forward-no-drop" = true`, `del(."ip-forward-no-drop")`, systemctlRestart)
	return Remedy{
		Name: IPForwardNoDrop, Breadth: Runner,
		About:        "tells dockerd, from its next start on, to leave the FORWARD policy alone when it turns ip_forward on",
		Opens:        "The runner forwards between all of its interfaces whatever no rule drops.",
		Cost:         "Works when dockerd starts: a policy that is DROP by now stays until forward-accept or a reboot.",
		Precondition: "Docker 28 or later: an older dockerd does not start with this key",
		Then:         restartDocker, ThenBack: restartDocker, Restarts: RestartDocker,
		Parameters: []Parameter{fileParameter()},
		commands:   commands, undo: undo,
	}
}

// The variants of iptables.
const (
	NFT    = "nft"
	Legacy = "legacy"
)

func iptablesBackend() Remedy {
	return Remedy{
		Name: IPTablesBackend, Breadth: Runner,
		About:        "has the command iptables write to the kernel's other rule set (nft or legacy)",
		Opens:        "Nothing by itself; rules in the former rule set stay in force.",
		Cost:         "Every program that calls iptables follows. dockerd has to be restarted.",
		Precondition: "Debian's or Ubuntu's alternatives, with both variants installed",
		Then:         restartDocker, ThenBack: restartDocker, Restarts: RestartDocker,
		Parameters: []Parameter{
			{Name: "backend", About: "nft or legacy", Required: true, Example: NFT, check: oneOf(NFT, Legacy)},
		},
		commands: func(v values) []string {
			return []string{
				"update-alternatives --set iptables /usr/sbin/iptables-" + v["backend"],
				"update-alternatives --set ip6tables /usr/sbin/ip6tables-" + v["backend"],
				"systemctl restart docker",
			}
		},
		undo: func(values) []string {
			return []string{"update-alternatives --auto iptables", "update-alternatives --auto ip6tables", "systemctl restart docker"}
		},
	}
}
