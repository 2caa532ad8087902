package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
			if err := in.Validate(); err != nil {
				return usageError(err)
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
	originFlags(cmd.Flags(), &in.Origin)
	cmd.Flags().StringArrayVar(&in.Sources, "source", nil, "a line of sources.list to use instead of the configured ones (repeatable)")
	cmd.Flags().DurationVar(&in.Timeout, "mirror-timeout", 30*time.Second, "how long to wait for a package mirror")
}

// originFlags say how Docker is installed, and where from.
func originFlags(f *pflag.FlagSet, o *spec.Origin) {
	wordVar(f, &o.Method, "method", "how Docker is installed")
	f.StringVar(&o.Version, "docker-version", "", "the package's version, or the archive's; the newest if empty")
	f.StringVar(&o.DownloadURL, "download-url", "", "site with the vendor's directories, for docker-ce, script and static (default "+spec.VendorURL+")")
	f.StringVar(&o.Key, "key", "", "URL of the key that signs the packages of docker-ce (default the site's)")
	f.StringVar(&o.Fingerprint, "fingerprint", "", "fingerprint that this key must have (default the vendor's, "+spec.VendorFingerprint+")")
	f.StringVar(&o.Script, "script", "", "URL of the script that script runs (default "+spec.VendorScript+")")
	f.StringVar(&o.Checksum, "checksum", "", "SHA-256 that the script, or the archive of static, must have")
	f.StringVar(&o.Packages, "packages", "", "directory with the packages that cached installs (*.deb)")
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
