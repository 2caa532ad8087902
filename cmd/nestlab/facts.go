package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
)

func newFactsCommand() *cobra.Command {
	var place model.Place
	var platform string
	var asTable, asJSON bool
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "Show what this environment is like, changing nothing",
		Long: `Reads kernel, network, forwarding, Docker, capabilities and cgroups of the
environment that it runs in. What could not be read is listed as an error.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(model.Environments(), place.Environment) {
				return usageError(fmt.Errorf("unknown environment %q; known: %s", place.Environment, strings.Join(model.Environments(), ", ")))
			}
			if asTable && asJSON {
				return usageError(errors.New("--table and --json are both given; give one"))
			}
			f := facts.Collect(cmd.Context(), facts.Options{Place: place, Platform: platform})
			if asTable {
				return writeFacts(cmd.OutOrStdout(), f)
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&place.Environment, "environment", model.EnvRunner, "what to call this environment: "+strings.Join(model.Environments(), ", "))
	flags.StringVar(&place.Setup, "setup", "", "how Docker got in, METHOD/PHASE")
	flags.StringVar(&platform, "platform", model.PlatformAuto, "auto, azure, github-hosted, simulated, unknown")
	flags.BoolVar(&asTable, "table", false, "as a table for people")
	flags.BoolVar(&asJSON, "json", false, "as JSON (the default)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	return cmd
}

func writeFacts(w io.Writer, f model.Facts) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range factRows(f) {
		if _, err := fmt.Fprintf(table, "%s\t%s\n", row[0], row[1]); err != nil {
			return fmt.Errorf("write the facts: %w", err)
		}
	}
	return table.Flush()
}

func factRows(f model.Facts) [][2]string {
	rows := [][2]string{
		{"environment", f.String()},
		{"platform", f.Platform},
		{"kernel", f.Kernel},
		{"os", f.OS.Name},
		{"resolvers", strings.Join(f.Resolvers, " ")},
		{"ip_forward", onOff(f.IPForward)},
		{"ipv6 forwarding", onOff(f.IPv6Forward)},
		{"bridge-nf-call-iptables", onOff(f.BridgeNetfilter)},
		{"cgroup", f.Cgroup},
		{"/dev/kvm", kvmWords(f.KVM)},
		{"capabilities missing", strings.Join(f.Capabilities.Missing, " ")},
	}
	for _, i := range f.Interfaces {
		rows = append(rows, [2]string{"interface " + i.Name, fmt.Sprintf("%s mtu %d %s", i.Type, i.MTU, strings.Join(i.Addresses, " "))})
	}
	for _, r := range f.Routes {
		rows = append(rows, [2]string{"route " + r.Destination, strings.TrimSpace("dev " + r.Device + " " + r.Gateway)})
	}
	for _, c := range f.Forward {
		name := fmt.Sprintf("%s %s %s %s", c.Backend, c.Family, c.Table, c.Chain)
		rows = append(rows, [2]string{name, fmt.Sprintf("policy %s, %d packets, %d drop rules", c.Policy, c.Packets, len(c.Drops))})
	}
	if len(f.Forward) == 0 {
		rows = append(rows, [2]string{"forward chains", "none are seen"})
	}
	rows = append(rows, [2]string{"docker", dockerWords(f.Docker)})
	for _, e := range f.Errors {
		rows = append(rows, [2]string{"not read", e})
	}
	return rows
}

func onOff(b *bool) string {
	switch {
	case b == nil:
		return "not in this kernel"
	case *b:
		return "on"
	}
	return "off"
}

func kvmWords(d model.Device) string {
	switch {
	case !d.Present:
		return "not there"
	case d.Usable:
		return "opens (whether a kernel runs under it only a guest's start shows)"
	}
	return "there, but: " + d.Error
}

func dockerWords(d *model.DockerFacts) string {
	switch {
	case d == nil:
		return "no socket"
	case d.Version == "":
		return "not answering: " + d.Error
	}
	return strings.TrimSpace(fmt.Sprintf("%s, API %s, storage %s, firewall %s, cgroup %s %s", d.Version, d.API, d.StorageDriver, d.Firewall, d.CgroupVersion, d.Error))
}
