package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/spec"
)

func newDindCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dind",
		Short: "Install Docker in this environment and keep its daemon running",
	}
	cmd.AddCommand(newDindInstallCommand(), newDindServeCommand(), newDindCertificatesCommand(), newDindHoldCommand(), newDindRunCommand())
	return cmd
}

func newDindInstallCommand() *cobra.Command {
	var in dind.Install
	var record string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install Docker here: in a layer at build time, or in the running environment",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !quiet {
				in.Log = cmd.OutOrStdout()
			}
			start := time.Now()
			if err := in.Run(cmd.Context()); err != nil || record == "" {
				return err
			}
			return dind.WriteRecord(record, dind.Record{Method: string(in.Method), Start: start.UTC(), Duration: time.Since(start)})
		},
	}
	addInstallFlags(cmd, &in)
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print nothing of what the package manager says, unless it fails")
	cmd.Flags().BoolVar(&in.Client, "client", false, "install Docker's command line and its builder too, where the distribution has them apart")
	cmd.Flags().StringVar(&record, "record", "", "a file to keep how long it took in")
	return cmd
}

func addInstallFlags(cmd *cobra.Command, in *dind.Install) {
	in.Method = spec.Distro
	wordVar(cmd.Flags(), &in.Method, "method", "how Docker is installed")
	cmd.Flags().StringArrayVar(&in.Sources, "source", nil, "a line of sources.list to use instead of the configured ones (repeatable)")
	cmd.Flags().StringVar(&in.Version, "docker-version", "", "the package's version; the newest if empty")
	cmd.Flags().DurationVar(&in.Timeout, "mirror-timeout", 30*time.Second, "how long to wait for a package mirror")
}

func newDindHoldCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "hold",
		Short:  "Do nothing until ended by a signal: the first process of a container that is worked in",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			<-cmd.Context().Done()
			return nil
		},
	}
}
