package main

import (
	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/vm"
)

// newVMTuneCommand is what a scenario changes in a guest.
func newVMTuneCommand() *cobra.Command {
	var t vm.Tuning
	cmd := &cobra.Command{
		Use:    "tune",
		Short:  "Change this guest's own network as a scenario wants it",
		Hidden: true,
		Args:   noArguments,
		RunE:   func(cmd *cobra.Command, _ []string) error { return t.Tune(cmd.Context()) },
	}
	f := cmd.Flags()
	f.TextVar(&t.Address, "address", t.Address, "the guest's address with its prefix length, instead of DHCP's")
	f.TextVar(&t.Gateway, "gateway", t.Gateway, "its default gateway")
	f.TextVar(&t.Resolver, "resolver", t.Resolver, "its resolver")
	f.BoolVar(&t.NoIPv6, "no-ipv6", false, "turn IPv6 off, and force apt to IPv4")
	f.StringArrayVar(&t.Hosts, "host", nil, "NAME=ADDRESS for /etc/hosts (repeatable)")
	return cmd
}
