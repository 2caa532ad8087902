package simulate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/vm"
)

// lxdVMAlias names the image of LXD's virtual machine.
const lxdVMAlias = "nestlab-vm"

// lxdVMBoot bounds the wait for the agent in LXD's virtual machine: LXD's firmware
// comes before the kernel.
const lxdVMBoot = 2 * time.Minute

func (r *runner) lxdVMImage() vm.VMImage {
	return vm.VMImage{Metadata: filepath.Join(r.config.Assets, "lxd-vm.tar"), Disk: r.guest(false).Root}
}

// first is a directory that LXD's virtual machines share. LXD gives the root disk the
// first place in the order of boot, which QEMU wants for the kernel: this takes it
// instead.
func (r *runner) first() string { return filepath.Join(r.config.State, "lxd-vm") }

// virtualInstance is LXD's virtual machine as it is without a scenario.
func (r *runner) virtualInstance() vm.Instance {
	return vm.Instance{
		At:      model.Place{Environment: model.EnvLXDVM},
		Connect: r.connectForVM, Name: "nestlab-vm1", Image: lxdVMAlias, Network: vm.Bridge, Pool: "default", VM: true,
		Binary: r.config.binary, Ready: r.config.wait(lxdVMBoot), Patience: r.config.slowness(),
		Config: map[string]string{
			"limits.memory": fmt.Sprintf("%dMiB", guestMemory), "limits.cpu": "1",
			"raw.qemu": vm.DirectBoot(r.guest(false)),
		},
		Devices: map[string]map[string]string{
			"first": {"type": "disk", "source": r.first(), "path": "/mnt/first", "boot.priority": "10"},
		},
	}
}

// connectForVM reaches LXD where it can run a virtual machine.
func (r *runner) connectForVM(ctx context.Context) (vm.Server, error) {
	if why := r.noVirtualMachines(ctx); why != "" {
		return nil, session.Inapplicable{Why: why}
	}
	return r.connect(ctx)
}

// wantsVM reports whether the plan has a virtual machine of LXD's.
func (r *runner) wantsVM() bool { return spec.Runs(r.plan, model.EnvLXDVM) }

// noVirtualMachines says what LXD's virtual machines lack here; empty for nothing.
func (r *runner) noVirtualMachines(ctx context.Context) string {
	if a := r.acceleration().Find(ctx); a.Name != vm.KVM {
		return "LXD runs virtual machines with KVM only, which does not work here: " + a.Why
	}
	if _, err := os.Stat("/dev/vhost-vsock"); err != nil {
		return fmt.Sprintf("LXD reaches a virtual machine by vsock, which is not here: %v", err)
	}
	return ""
}
