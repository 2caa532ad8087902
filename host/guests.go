package host

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

const (
	// guestMemory is in MiB: that of a Debian without a desktop.
	guestMemory = 512
	// kvmTrial bounds the proof that KVM runs a kernel, which takes it a second.
	kvmTrial = 10 * time.Second
	// stockGuest is the directory in Guest that has the guest with a stock kernel.
	stockGuest = "stock"
	// GuestCall is how one gets such a directory.
	GuestCall = "dagger call guest export --path"
)

// guests are those of this host's QEMU.
type guests struct {
	scratch     *vm.Scratch
	accelerator *vm.Accelerator
}

// checkGuest checks that the files of the guests are there.
func (r *Run) checkGuest() error {
	if r.Guest == "" {
		return nil
	}
	image := r.guestImage(false)
	for _, file := range []string{image.Kernel, image.Initrd, image.Root} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--guest %s has not what a guest boots: %w; `%s %s` makes it", r.Guest, err, GuestCall, r.Guest)
		}
	}
	return nil
}

// openGuests makes a place for the guests' files, where there are to be guests.
func (r *Run) openGuests() (err error) {
	if r.Guest == "" {
		return nil
	}
	if r.guests.scratch, err = vm.NewScratch(os.TempDir()); err != nil {
		return err
	}
	r.guests.accelerator = &vm.Accelerator{Image: r.guestImage(false), Dir: filepath.Join(r.guests.scratch.Dir, "kvm-trial"), Limit: kvmTrial}
	return nil
}

func (g guests) close() error {
	if g.scratch == nil {
		return nil
	}
	return g.scratch.Close()
}

// machine is a guest as it is without a scenario. It gets the binary on a disk.
func (r *Run) machine(environment string, stockKernel bool) vm.QEMU {
	guest := vm.QEMU{
		At: model.Place{Environment: environment}, Image: r.guestImage(stockKernel), Binary: r.binary, Dir: filepath.Join(r.guests.scratch.Dir, environment),
		Memory: guestMemory, CPUs: 1, Accelerator: r.guests.accelerator, Boot: r.Request.Ready,
	}
	if environment == model.EnvQEMUBridge {
		guest.Bridge = r.Request.Bridge
	}
	return guest
}

func (r *Run) guestImage(stockKernel bool) vm.Image {
	dir := r.Guest
	if stockKernel {
		dir = filepath.Join(dir, stockGuest)
	}
	return vm.Image{
		Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd"), Root: filepath.Join(dir, "root.img"),
	}
}
