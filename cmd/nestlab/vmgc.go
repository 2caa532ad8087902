package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/host"
	"github.com/nestlab/nestlab/vm"
)

// remoteFlags are those that say which LXD is meant.
func remoteFlags(f *pflag.FlagSet, r *vm.Remote) {
	f.StringVar(&r.Address, "lxd", lxdSocket(), "LXD's unix socket, or https://HOST:PORT")
	f.StringVar(&r.ClientCert, "client-cert", "", "PEM file with the client's certificate, for https")
	f.StringVar(&r.ClientKey, "client-key", "", "PEM file with its key")
	f.StringVar(&r.ServerCert, "server-cert", "", "PEM file with the server's certificate, where no known authority signed it")
}

// lxdSocket returns the socket that is there of the snap's and Debian's LXD, or the snap's.
func lxdSocket() string {
	const snap, debian = "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"
	if _, err := os.Stat(snap); err == nil {
		return snap
	}
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return snap
}

// newVMGCCommand removes by hand what every run removes at its start.
func newVMGCCommand() *cobra.Command {
	var r vm.Remote
	var dry, noLXD, every bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove what a killed run left on an LXD and of QEMU's guests",
		Long: `Finds the instances, images and networks on an LXD that carry nestlab's marker
(user.nestlab), the proxies of scenarios on its machine where that is this one, and the
taps and directories of QEMU's guests on this machine that no run has any more, and
removes them, one line for each. Each run does the same at its start. What is of a run
that is at work stays (user.nestlab.run names it), and so does, for 6 hours, what is of
one in another container or on another machine, which is not seen from here: the exit
code is 3 then, and --all removes that too.`,
		Example: `  nestlab vm gc --dry-run
  nestlab vm gc --no-lxd
  nestlab vm gc --lxd /var/lib/lxd/unix.socket`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.Validate(); err != nil {
				return usageError(err)
			}
			found, err := host.Sweep(cmd.Context(), r, host.ScenarioJournal, !noLXD, every, dry)
			for _, f := range found {
				line := "removed " + f
				if dry {
					line = "would remove " + f
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
					return err
				}
			}
			return withCode(exitUnobserved, err)
		},
	}
	remoteFlags(cmd.Flags(), &r)
	cmd.Flags().StringVar(&r.Project, "project", "", "LXD project (default LXD's own)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVar(&every, "all", false, "remove what is of runs that may be at work too")
	cmd.Flags().BoolVar(&noLXD, "no-lxd", false, "ask no LXD, on a machine that has none")
	return cmd
}
