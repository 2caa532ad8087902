package simulate

import (
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// The guests' size is that of a Debian without a desktop; under emulation a
// second processor costs more than it gives.
const (
	guestMemory = 512 // MiB
	guestCPUs   = 1
	// guestBoot bounds the wait for the guest agent: 6 s on an idle machine under
	// emulation, and beside everything else that starts many times that.
	guestBoot = 10 * time.Minute
	// kvmTrial bounds the proof that KVM runs a kernel, which takes it a second.
	kvmTrial = 10 * time.Second
)

// machine is a QEMU guest as it is without a scenario.
func (r *runner) machine(environment string, stockKernel bool) vm.QEMU {
	guest := vm.QEMU{
		At:    model.Place{Environment: environment},
		Image: r.guest(stockKernel), Binary: r.config.binary, Dir: filepath.Join(r.config.State, environment),
		Memory: guestMemory, CPUs: guestCPUs, Accelerator: r.acceleration(), Boot: r.config.wait(guestBoot), Patience: r.config.slowness(),
	}
	if environment == model.EnvQEMUBridge {
		guest.Bridge = vm.Bridge
	}
	return guest
}

// acceleration is how guests run here, found out once.
func (r *runner) acceleration() *vm.Accelerator {
	r.once.Do(func() {
		r.accelerator = &vm.Accelerator{
			Image: r.guest(false), Dir: filepath.Join(r.config.State, "kvm-trial"), Limit: r.config.wait(kvmTrial),
		}
	})
	return r.accelerator
}

// guest is the small one, or the one with a stock kernel.
func (r *runner) guest(stockKernel bool) vm.Image {
	dir := filepath.Join(r.config.Assets, "guest")
	if stockKernel {
		dir = filepath.Join(r.config.Assets, "guest-stock")
	}
	return vm.Image{
		Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd"), Root: filepath.Join(dir, "root.img"),
	}
}
