package catalogue

import "fmt"

// The remedies on the machine's files.
const (
	KVMPermission = "kvm-permission"
	CAInstall     = "ca-install"
)

// The places of certificate authorities on Debian and Ubuntu.
const (
	CADirectory = "/usr/local/share/ca-certificates"
	CABundle    = "/etc/ssl/certs/ca-certificates.crt"
)

func machine() []Remedy { return []Remedy{kvmPermission(), caInstall()} }

func kvmPermission() Remedy {
	return Remedy{
		Name: KVMPermission, Breadth: Runner,
		About:        "lets every user open /dev/kvm (mode 0666, and devices on the mount that it may be on)",
		Opens:        "Every user of the runner may run virtual machines.",
		Cost:         "udev may set the mode back. Not persistent across reboots.",
		Precondition: "the device is there",
		Parameters:   []Parameter{{Name: "device", About: "the device", Default: KVM, Example: KVM, check: absolute}},
		commands: func(v values) []string {
			return []string{"chmod 0666 " + v["device"], "# where it is a mount with nodev, as in containers: mount -o remount,bind,dev " + v.plain("device")}
		},
		undo: func(v values) []string { return []string{fmt.Sprintf("chmod 0660 %s  # or what it was", v["device"])} },
	}
}

func caInstall() Remedy {
	return Remedy{
		Name: CAInstall, Breadth: Runner,
		About:        "makes the runner trust one more certificate authority",
		Opens:        "Whoever holds the authority's key can pose as any site to programs of the runner.",
		Cost:         "Programs with certificates of their own (Java, Firefox, Node) do not see it; dockerd has to be restarted.",
		Precondition: "the file holds certificates of authorities in PEM form; ca-certificates is installed",
		Then:         restartDocker, ThenBack: restartDocker,
		Parameters: []Parameter{
			{Name: "certificate", About: "file with the certificate in PEM form", Required: true, Example: "/tmp/ca.crt", check: absolute},
			{Name: "name", About: "what to call it", Default: "nestlab", Example: "nestlab", check: plainName},
		},
		commands: func(v values) []string {
			return []string{
				fmt.Sprintf("install -m 0644 %s %s/%s.crt", v["certificate"], CADirectory, v["name"]),
				"update-ca-certificates",
			}
		},
		undo: func(v values) []string {
			return []string{fmt.Sprintf("rm %s/%s.crt", CADirectory, v["name"]), "update-ca-certificates"}
		},
	}
}
