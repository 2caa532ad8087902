package main

import (
	"fmt"
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
	cmd.AddCommand(newDindInstallCommand(), newDindServeCommand(), newDindHoldCommand(), newDindRunCommand())
	return cmd
}

func newDindInstallCommand() *cobra.Command {
	var in dind.Install
	var record string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install Docker here: in a layer at build time, or in the running environment",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Log = cmd.OutOrStdout()
			start := time.Now()
			if err := in.Run(cmd.Context()); err != nil || record == "" {
				return err
			}
			return dind.WriteRecord(record, dind.Record{Method: string(in.Method), Start: start.UTC(), Duration: time.Since(start)})
		},
	}
	addInstallFlags(cmd, &in)
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

func newDindServeCommand() *cobra.Command {
	d := dind.Daemon{}
	var ready time.Duration
	var mirrors []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run dockerd on a unix socket, supervised, until ended by a signal",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := dind.Settings(mirrors...)
			if err != nil {
				return err
			}
			d.Settings = settings
			if err := d.Start(cmd.Context(), ready); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "dockerd is ready on", d.Socket)
			return d.Wait()
		},
	}
	cmd.Flags().StringVar(&d.Socket, "socket", dind.DefaultSocket, "the unix socket to listen on")
	cmd.Flags().StringVar(&d.Shared, "share", "", "a second unix socket, for clients outside the container")
	cmd.Flags().StringVar(&d.Dir, "dir", "/var/lib/nestlab/dockerd", "directory of the daemon's settings and log")
	cmd.Flags().StringArrayVar(&mirrors, "registry-mirror", nil, "URL of a mirror of Docker Hub (repeatable)")
	cmd.Flags().IntVar(&d.Restarts, "restarts", 3, "number of restarts of a daemon that dies")
	cmd.Flags().BoolVar(&d.Containerd, "containerd", false, "start containerd first instead of leaving that to dockerd, which waits 15 s for it")
	cmd.Flags().DurationVar(&ready, "ready", time.Minute, "how long the API may take to answer")
	return cmd
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
