package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

const kvmDevice = "/dev/kvm"

// probeKVM opens the device as QEMU would. Where there is none the machine does
// not virtualize, or the kernel is not to: guests are emulated, which is no failure.
func probeKVM(_ context.Context, _ *env, device string) observation {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return observation{outcome: model.Skip, reason: model.NotApplicable, message: fmt.Sprintf("there is no KVM here (%v): virtual machines are emulated", err)}
	}
	if err != nil {
		return seen(fmt.Errorf("open the device: %w", err))
	}
	closeQuietly(f)
	return observation{}
}
