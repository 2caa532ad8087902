package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/host"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

func newVMRunCommand() *cobra.Command {
	r := host.Run{Request: spec.NewHostRun(), Proxies: host.ScenarioJournal, Version: version}
	var set string
	var read func(*cobra.Command) error
	cmd := &cobra.Command{
		Use:   "run [--image NAME] [--guest DIR] --out DIR",
		Short: "Probe instances of an LXD and guests of QEMU beside this machine, and write the run's files",
		Long: `Makes a container and a virtual machine on an LXD (with --image), and two guests
of this machine's QEMU (with --guest), puts this binary in by LXD's API and on a disk,
runs the same suite in them as on this machine (which has the package hello installed
and purged, and an image pulled and built where there is Docker), removes them again and
writes journal.jsonl and run.json. A failed probe is data, and so is a place that does
not start: the exit code is 0 whenever the run could be made and written; nestlab report
shows it, and with --check ends with 1 where something is wrong.

qemu-bridge has its tap on a bridge, which needs root; qemu-user has QEMU's user-mode
network. With these alone no LXD is asked for anything. They run under KVM where that
starts a guest, emulated otherwise.`,
		Example: `  nestlab vm run --image ubuntu/24.04 --image-server https://images.lxd.canonical.com --out out
  nestlab vm run --environments runner,lxd-container --image nestlab --out out --intervene
  nestlab vm run --environments lxd-vm --image ./metadata.tar.xz --rootfs ./disk.qcow2 --out out
  nestlab vm run --environments runner,qemu-bridge,qemu-user --guest guest --out out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := read(cmd); err != nil {
				return err
			}
			if err := r.Validate(); err != nil {
				return usageError(err)
			}
			if r.Targets, err = loadTargets(set); err != nil {
				return usageError(err)
			}
			r.Progress = cmd.ErrOrStderr()
			return withCode(exitUnobserved, r.Do(cmd.Context()))
		},
	}
	read = requestFlags(cmd, &r.Request, hostFlags)
	f := cmd.Flags()
	remoteFlags(f, &r.Remote)
	f.StringVar(&r.Guest, "guest", "", "directory with the vmlinuz, initrd and root.img of QEMU's guests, made by "+host.GuestCall+" guest")
	f.StringVar(&r.Rootfs, "rootfs", "", "the image's second file (squashfs or qcow2), where --image is one with its metadata only")
	f.StringVar(&r.Cache, "cache", "", "directory with the packages (*.deb) and images (*.tar) of the scenario "+scenario.Cached)
	f.StringVar(&set, "targets", targets.Live, strings.Join(targets.Names(), ", ")+", or a YAML file")
	f.StringVar(&r.Journal, "journal", remedy.DefaultJournal, "file that says what is changed, with --intervene")
	f.StringVar(&r.Out, "out", "out", "directory for journal.jsonl and run.json")
	return cmd
}

// hostFlags make the request.
func hostFlags(f *pflag.FlagSet, h *spec.HostRun) {
	f.StringSliceVar(&h.Environments, "environments", nil, "which to run: names or patterns of "+strings.Join(spec.EnvironmentNames(spec.CommandVM), ", ")+" (default all, QEMU's with --guest only; with --scenarios the machine alone; without the machine where LXD is another's)")
	f.StringSliceVar(&h.Scenarios, "scenarios", nil, "try these in guests too: names, families or patterns of "+strings.Join(scenario.Names(), ", ")+"; !PATTERN leaves out")
	f.StringVar(&h.Script, "script", h.Script, "URL of the script of the scenario "+scenario.ConvenienceScript)
	f.StringSliceVar(&h.Free, "free-address", nil, "addresses ADDRESS/BITS of the uplink's network that nobody has, one for each guest of the scenarios macvlan and routed")
	instanceFlags(f, h)
	f.StringVar(&h.Bridge, "bridge", h.Bridge, "bridge that the tap of qemu-bridge is put on")
	f.DurationVar(&h.Ready, "ready", h.Ready, "how long an instance may take until it takes commands")
	f.DurationVar(&h.Start, "start-timeout", h.Start, "how long an instance may take to start, a download of its image included")
	f.DurationVar(&h.Timeout, "timeout", h.Timeout, "limit of the suite in one environment")
	wordVar(f, &h.Platform, "platform", "decides which failures are expected")
	f.IntVar(&h.Retries, "retries", 0, "number of retries after a transient failure, 0 to 10")
	f.BoolVar(&h.Intervene, "intervene", false, "prove a cause by changing it on this machine and changing it back (needs root)")
	f.DurationVar(&h.Lock, "lock-timeout", 0, "how long another nestlab that changes this machine is waited for, with --intervene; 0 ends with code 3 at once")
	f.DurationVar(&h.Change, "change-timeout", h.Change, "how long this machine may stay changed for one test, with --intervene; then the change is reverted")
}

// instanceFlags are those of LXD's instances.
func instanceFlags(f *pflag.FlagSet, h *spec.HostRun) {
	f.StringVar(&h.Project, "project", "", "LXD project (default LXD's own)")
	f.StringVar(&h.Member, "member", "", "cluster member that the instances are put on, without this machine beside them (default LXD's choice)")
	f.StringVar(&h.Image, "image", "", "image of the instances: an alias, a fingerprint of 12 digits or more, or a file (./image.tar.xz), which is removed again")
	f.StringVar(&h.ImageServer, "image-server", "", "simplestreams server that has the image (default LXD's own images)")
	f.StringVar(&h.Network, "network", h.Network, "LXD network of the instances' NIC")
	f.StringVar(&h.Pool, "pool", h.Pool, "storage pool of their root")
	f.StringToStringVar(&h.Config, "config", nil, "further configuration keys, such as limits.memory=2GiB or security.secureboot=true")
	f.StringArrayVar(&h.Devices, "device", nil, "keys of a device of every instance: NAME,KEY=VALUE,..., such as root,size=10GiB (repeatable)")
	wordVar(f, &h.Family, "family", "address families of the instances, of which v4 has IPv6 off in them and their apt forced to IPv4")
}
