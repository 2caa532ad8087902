// Package unit makes remedies last: a service of systemd's applies them at boot, and again
// whenever Docker, a firewall or a person writes the rules again.
package unit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
)

// Name is the service's.
const Name = "nestlab-remedies.service"

// Where the service and its copy of this binary are. System-wide programs of the
// administrator's are here, which SELinux lets systemd start as well.
const (
	Path   = "/etc/systemd/system/" + Name
	Binary = "/usr/local/sbin/nestlab-remedies"
)

// Text is the unit file. What is applied is in the list, as values: nothing of it is here.
const Text = `[Unit]
Description=Remedies of nestlab, applied again when something has undone them
Documentation=https://github.com/nestlab/nestlab/blob/main/docs/doctor.md

[Service]
Type=notify
ExecStart=` + Binary + ` remedy keep
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
`

// ErrCannot is of a host where nothing can be made to last.
var ErrCannot = errors.New("nothing was changed: remedies cannot be made persistent here")

// Check says why remedies cannot be made to last here; nil where they can. It changes nothing.
func Check() error {
	cannot := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrCannot, fmt.Sprintf(format, args...))
	}
	// As sd_booted(3) looks for it.
	if info, err := os.Lstat("/run/systemd/system"); err != nil || !info.IsDir() {
		return cannot("systemd does not run this host; leave --persist out, and have what starts this host run `nestlab remedy apply NAME KEY=VALUE` after Docker and the firewall")
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		return cannot("%v", err)
	}
	if os.Geteuid() != 0 {
		return cannot("it takes root: sudo")
	}
	first, err := os.Readlink("/proc/1/ns/net")
	here, err2 := os.Readlink("/proc/self/ns/net")
	if err := errors.Join(err, err2); err != nil {
		return cannot("%v", err)
	}
	if first != here {
		return cannot("this is another network than the one systemd is in, such as a container's: run it on the machine itself")
	}
	for _, dir := range []string{filepath.Dir(Path), filepath.Dir(Binary)} {
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return cannot("write to %s: %v; leave --persist out, and put the commands of `nestlab remedy apply --dry-run NAME KEY=VALUE` where this host keeps its firewall", dir, err)
		}
	}
	return nil
}

// Install has remedies that are applied last, by the service, which it starts. Those that
// last without it are returned.
func Install(ctx context.Context, h remedy.Host, remedies ...model.Remedy) (lasting []model.Remedy, err error) {
	if err := Check(); err != nil {
		return nil, err
	}
	if lasting, err = h.Persist(ctx, remedy.Persistent, remedies...); err != nil || len(lasting) == len(remedies) {
		return lasting, err
	}
	if err := installBinary(); err != nil {
		return lasting, err
	}
	if err := os.WriteFile(Path, []byte(Text), 0o644); err != nil {
		return lasting, fmt.Errorf("write the unit: %w", err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--quiet", Name}, {"restart", Name}} {
		if err := systemctl(ctx, args...); err != nil {
			return lasting, err
		}
	}
	return lasting, nil
}

// installBinary copies this program to where the service finds it, in one step: the one
// that is there may run.
func installBinary() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy this binary to %s: %w", Binary, err)
		}
	}()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	f, err := os.CreateTemp(filepath.Dir(Binary), ".nestlab-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, self)
	if err = errors.Join(err, f.Chmod(0o755), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), Binary)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Installed reports whether the service is there.
func Installed() (bool, error) {
	_, err := os.Lstat(Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Release has remedies not last any more. With the last of them goes the service, which
// reverts what is on its list when it ends.
func Release(ctx context.Context, remedies ...model.Remedy) error {
	there, err := Installed()
	if err != nil {
		return fmt.Errorf("look for the unit: %w", err)
	}
	left, err := remedy.Unpersist(ctx, remedy.Persistent, remedies...)
	if err != nil || !there || len(left) > 0 {
		return err
	}
	if err := systemctl(ctx, "disable", "--quiet", "--now", Name); err != nil {
		return err
	}
	for _, path := range []string{Path, Binary, remedy.Persistent} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the unit: %w", err)
		}
	}
	return systemctl(ctx, "daemon-reload")
}

func systemctl(ctx context.Context, args ...string) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s (`journalctl -u %s` may say more)", strings.Join(args, " "), err, strings.TrimSpace(said.String()), Name)
	}
	return nil
}
