package facts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/moby/sys/capability"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// azureTag is the chassis asset tag of every Azure virtual machine
// (Microsoft's documentation of the instance metadata service).
const azureTag = "7783-7084-3265-9085-8269-3286-77"

// DetectPlatform says where this machine runs: GitHub's runners say so in the
// environment, Azure in the DMI tables. Everything else is unknown.
func DetectPlatform() string {
	// A GitHub runner is an Azure machine as well; the narrower name wins.
	if os.Getenv("RUNNER_ENVIRONMENT") == model.PlatformGitHub {
		return model.PlatformGitHub
	}
	tag, err := os.ReadFile("/sys/class/dmi/id/chassis_asset_tag")
	if err == nil && strings.TrimSpace(string(tag)) == azureTag {
		return model.PlatformAzure
	}
	return model.PlatformUnknown
}

func osRelease(_ context.Context, f *model.Facts) error {
	var errs []error
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		file, err := os.Open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.OS, err = ParseOSRelease(file)
		return errors.Join(err, file.Close())
	}
	return errors.Join(errs...)
}

// ParseOSRelease reads the os-release format (os-release(5)).
func ParseOSRelease(r io.Reader) (model.OS, error) {
	var o model.OS
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		value = unquote(value)
		switch key {
		case "ID":
			o.ID = value
		case "VERSION_ID":
			o.Version = value
		case "PRETTY_NAME":
			o.Name = value
		}
	}
	if err := lines.Err(); err != nil {
		return o, fmt.Errorf("read os-release: %w", err)
	}
	return o, nil
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`).Replace(s)
}

// capabilities reads those of this process, and what its bounding set lacks of
// those that the kernel knows.
func capabilities(_ context.Context, f *model.Facts) error {
	own, err := capability.NewPid2(0)
	if err != nil {
		return err
	}
	if err := own.Load(); err != nil {
		return err
	}
	known, err := capability.ListSupported()
	if err != nil {
		return err
	}
	f.Capabilities.Effective = []string{}
	for _, c := range known {
		name := "CAP_" + strings.ToUpper(c.String())
		if own.Get(capability.EFFECTIVE, c) {
			f.Capabilities.Effective = append(f.Capabilities.Effective, name)
		}
		if !own.Get(capability.BOUNDING, c) {
			f.Capabilities.Missing = append(f.Capabilities.Missing, name)
		}
	}
	return nil
}

// cgroup tells the layouts apart by what is mounted.
func cgroup(_ context.Context, f *model.Facts) error {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return err
	}
	var v1, v2 bool
	for _, m := range mounts {
		v1 = v1 || m.FSType == "cgroup"
		v2 = v2 || m.FSType == "cgroup2"
	}
	switch {
	case v1 && v2:
		f.Cgroup = "hybrid"
	case v1:
		f.Cgroup = "v1"
	case v2:
		f.Cgroup = "v2"
	default:
		return errors.New("no cgroup is mounted")
	}
	return nil
}

// kvmGetAPIVersion is KVM_GET_API_VERSION, _IO(0xAE, 0x00); every kernel since
// 2.6.22 answers 12.
const (
	kvmGetAPIVersion = 0xAE00
	kvmAPIVersion    = 12
)

// kvm proves the device by opening it and asking it for its version.
func kvm(_ context.Context, f *model.Facts) error {
	fd, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f.KVM.Present = true
	if err != nil {
		f.KVM.Error = fmt.Sprintf("open /dev/kvm: %v", err)
		return nil
	}
	version, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kvmGetAPIVersion, 0)
	switch {
	case errno != 0:
		f.KVM.Error = fmt.Sprintf("ask /dev/kvm for its version: %v", errno)
	case version != kvmAPIVersion:
		f.KVM.Error = fmt.Sprintf("/dev/kvm has version %d, not %d", version, kvmAPIVersion)
	default:
		f.KVM.Usable = true
	}
	return unix.Close(fd)
}
