package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// qemuEnvironments are those that this machine's QEMU runs.
var qemuEnvironments = []string{model.EnvQEMUBridge, model.EnvQEMUUser}

const (
	// guestMemory is in MiB: that of a Debian without a desktop.
	guestMemory = 512
	// kvmTrial bounds the proof that KVM runs a kernel, which takes it a second.
	kvmTrial = 10 * time.Second
	// stockGuest is the directory in --guest that has the guest with a stock kernel.
	stockGuest = "stock"
	// guestCall is how one gets such a directory.
	guestCall = "dagger call guest export --path"
)

// guests are those of this machine's QEMU.
type guests struct {
	// dir has their kernel and disk, empty for no guests; bridge takes their taps.
	dir, bridge string

	binary      string
	boot        time.Duration
	scratch     *vm.Scratch
	accelerator *vm.Accelerator
}

func (g *guests) flags(f *pflag.FlagSet) {
	f.StringVar(&g.dir, "guest", "", "directory with the vmlinuz, initrd and root.img of QEMU's guests, made by "+guestCall+" guest")
	f.StringVar(&g.bridge, "bridge", vm.Bridge, "bridge that the tap of qemu-bridge is put on")
}

// validate checks that the files of the guests are there.
func (g *guests) validate(environments []string) error {
	if g.dir == "" {
		for _, e := range environments {
			if slices.Contains(qemuEnvironments, e) {
				return fmt.Errorf("--guest is missing: %s boots what is in a directory, which `%s guest` makes", e, guestCall)
			}
		}
		return nil
	}
	image := g.image(false)
	for _, file := range []string{image.Kernel, image.Initrd, image.Root} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--guest %s has not what a guest boots: %w; `%s %s` makes it", g.dir, err, guestCall, g.dir)
		}
	}
	return nil
}

// open makes a place for the guests' files, where there are to be guests. The binary
// is given to them on a disk, boot is how long they may take until they take commands.
func (g *guests) open(binary string, boot time.Duration) (err error) {
	if g.dir == "" {
		return nil
	}
	if g.scratch, err = vm.NewScratch(os.TempDir()); err != nil {
		return err
	}
	g.binary, g.boot = binary, boot
	g.accelerator = &vm.Accelerator{Image: g.image(false), Dir: filepath.Join(g.scratch.Dir, "kvm-trial"), Limit: kvmTrial}
	return nil
}

func (g *guests) close() error {
	if g.scratch == nil {
		return nil
	}
	return g.scratch.Close()
}

// machine is a guest as it is without a scenario.
func (g *guests) machine(environment string, stockKernel bool) vm.QEMU {
	guest := vm.QEMU{
		At: model.Place{Environment: environment}, With: []string{"network", "packages"},
		Image: g.image(stockKernel), Binary: g.binary, Dir: filepath.Join(g.scratch.Dir, environment),
		Memory: guestMemory, CPUs: 1, Accelerator: g.accelerator, Boot: g.boot,
	}
	if environment == model.EnvQEMUBridge {
		guest.Bridge = g.bridge
	}
	return guest
}

func (g *guests) image(stockKernel bool) vm.Image {
	dir := g.dir
	if stockKernel {
		dir = filepath.Join(dir, stockGuest)
	}
	return vm.Image{
		Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd"), Root: filepath.Join(dir, "root.img"),
	}
}

// explain adds the next step to rows that are not run because there are no guests.
func (g *guests) explain(skipped []model.PlanItem) []model.PlanItem {
	for i, item := range skipped {
		if g.dir == "" && slices.Contains(qemuEnvironments, item.Environment) {
			skipped[i].Skip += ": give --guest DIR, which `" + guestCall + " DIR` makes"
		}
	}
	return skipped
}

// sweepGuests removes what killed runs left of QEMU's guests on this machine, or with
// dry only lists it.
func sweepGuests(ctx context.Context, dry bool) ([]string, error) {
	var found []vm.Leftover
	var err error
	if dry {
		found, err = vm.GuestLeftovers(os.TempDir())
	} else {
		found, err = vm.SweepGuests(ctx, os.TempDir())
	}
	var names []string
	for _, f := range found {
		names = append(names, f.String())
	}
	if err != nil {
		err = fmt.Errorf("remove what is left of QEMU's guests: %w", err)
	}
	return names, err
}

// sweepAll is of this machine's QEMU and, unless it has none, of an LXD and what the
// journal of proxies names.
func sweepAll(ctx context.Context, r vm.Remote, journal string, lxd, every, dry bool) ([]string, error) {
	found, err := sweepGuests(ctx, dry)
	if !lxd {
		return found, err
	}
	more, failed := sweepLXD(ctx, r, journal, every, dry)
	if failed != nil {
		failed = fmt.Errorf("%w; with --no-lxd only what QEMU's guests left is looked for", failed)
	}
	return append(found, more...), errors.Join(err, failed)
}
