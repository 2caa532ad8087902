package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/aptrepo"
	"github.com/nestlab/nestlab/testbed/world/internet"
	"github.com/nestlab/nestlab/testbed/world/vendorsite"
)

func newWorldCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "testbed", Aliases: []string{"world"},
		Short: "The simulated runner and its internet",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newWorldRunCommand(), newWorldInternetCommand(), newWorldAptRepoCommand(), newWorldVendorCommand(), newWorldFaultsCommand(), newWorldChildCommand())
	return cmd
}

func newWorldRunCommand() *cobra.Command {
	var c world.Config
	var images []string
	var log string
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARG...]",
		Short: "Run a command in a simulated runner with an internet of its own",
		Long: `Makes a runner and an internet in namespaces, runs the command in the runner and
removes both. The runner has this machine's files, but its own network, processes,
cgroups, /run and daemon directories. Its exit code is the command's. Needs root.`,
		Example: "  sudo nestlab testbed run -- bash",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if c.Images, err = parseImages(images); err != nil {
				return err
			}
			if log != "" {
				f, err := os.Create(log)
				if err != nil {
					return fmt.Errorf("write the internet's log: %w", err)
				}
				defer f.Close()
				c.Log = f
			}
			code, err := world.New(c).Run(cmd.Context(), args, world.Stdio{
				In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr(),
			})
			if err != nil {
				return withCode(exitUnobserved, err)
			}
			if code != 0 {
				return withCode(code, fmt.Errorf("%s ended with %d", args[0], code))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.State, "state", "", "directory for the runner's state, not on overlayfs (default the temporary directory)")
	f.BoolVar(&c.Keep, "keep", false, "leave the runner's state behind")
	f.StringArrayVar(&images, "image", nil, "image for the registry: REPOSITORY:TAG=PATH of a root filesystem tar, a docker save tar or an OCI layout")
	f.StringVar(&c.AptRepository, "apt-repo", "", "apt repository to serve at http://"+internet.Archive+"/debian")
	f.BoolVar(&c.SingleStack, "single-stack", false, "tell no IPv6 addresses in DNS")
	f.StringVar(&log, "log", "", "file for the internet's requests, JSON lines")
	return cmd
}

func newWorldInternetCommand() *cobra.Command {
	var c internet.Config
	var images []string
	var address, resolver string
	var single, dual, quiet bool
	cmd := &cobra.Command{
		Use:   "internet",
		Short: "Serve the simulated internet: DNS, HTTP, HTTPS, OCI registry, apt repository",
		Long: `Serves in the foreground until it is stopped and logs requests as JSON lines. By
default each name has its own address, and these must be addresses of this machine;
with --single-address every name is this container's own address.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if c.Images, err = parseImages(images); err != nil {
				return err
			}
			if err := place(&c, single, dual, address, resolver); err != nil {
				return err
			}
			if single { // this container is the internet, so its ping is to be lost
				if err := ignoreEcho(cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			if !quiet {
				c.Log = cmd.OutOrStdout()
			}
			return serveInternet(cmd, c)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&single, "single-address", false, "give every name one address, as a service in a container needs it")
	f.StringVar(&address, "address", "", "that address (default the first one of this machine that is not loopback)")
	f.StringVar(&resolver, "resolver", internet.Resolver.String(), "address of the DNS server, without --single-address")
	f.BoolVar(&dual, "dual-stack", true, "tell IPv6 addresses that lead nowhere, as on hosted runners; not with --single-address")
	f.StringVar(&c.State, "state", "", "directory for the registry's blobs (default a new one, removed at the end)")
	f.StringArrayVar(&images, "image", nil, "image for the registry: REPOSITORY:TAG=PATH of a root filesystem tar, a docker save tar or an OCI layout")
	f.StringVar(&c.AptRepository, "apt-repo", "", "apt repository to serve at http://"+internet.Archive+"/debian")
	f.StringVar(&c.Vendor, "vendor", "", "site of nestlab testbed vendor to serve at http://NAME/linux and http://NAME/"+vendorsite.Script)
	f.BoolVar(&quiet, "quiet", false, "log no requests")
	f.StringVar(&c.CAFile, "ca-out", "", "file to write the certificate authority to")
	return cmd
}

// place gives the internet its addresses.
func place(c *internet.Config, single, dual bool, address, resolver string) (err error) {
	if !single {
		if c.Resolver, err = netip.ParseAddr(resolver); err != nil {
			return usageError(fmt.Errorf("--resolver: %w", err))
		}
		c.Sites = internet.Sites(dual)
		return nil
	}
	if address == "" {
		c.Resolver, err = internet.OwnAddress()
	} else if c.Resolver, err = netip.ParseAddr(address); err != nil {
		return usageError(fmt.Errorf("--address: %w", err))
	}
	c.Sites = internet.SitesAt(c.Resolver)
	return err
}

func serveInternet(cmd *cobra.Command, c internet.Config) (err error) {
	if c.State == "" {
		if c.State, err = os.MkdirTemp("", "nestlab-internet-"); err != nil {
			return fmt.Errorf("make a directory for the registry's blobs: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.State)) }()
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this binary, for the registry's smallest image: %w", err)
	}
	c.Images = append([]internet.Image{internet.Hello(self)}, c.Images...)
	return internet.Serve(cmd.Context(), c)
}

// ignoreEcho says what will be different where it may not change that.
func ignoreEcho(warnings io.Writer) error {
	err := internet.IgnoreEcho()
	if errors.Is(err, fs.ErrPermission) {
		_, err = fmt.Fprintf(warnings, "nestlab: warning: ping will be answered here, unlike on hosted runners: %v\n", err)
	}
	return err
}

func parseImages(images []string) ([]internet.Image, error) {
	var out []internet.Image
	for _, s := range images {
		image, err := internet.ParseImage(s)
		if err != nil {
			return nil, usageError(err)
		}
		out = append(out, image)
	}
	return out, nil
}

func newWorldAptRepoCommand() *cobra.Command {
	return ofPackages("apt-repo", "Make an apt repository of Debian packages", aptrepo.Build)
}

func newWorldVendorCommand() *cobra.Command {
	return ofPackages("vendor", "Make a site such as Docker's own of Debian's docker.io, containerd, runc, tini and libdevmapper1.02.1", vendorsite.Build)
}

// ofPackages is a command that makes something of packages.
func ofPackages(name, short string, build func(ctx context.Context, debs, out string) error) *cobra.Command {
	var debs, out string
	cmd := &cobra.Command{
		Use:   name + " --debs DIR --out DIR",
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return build(cmd.Context(), debs, out) },
	}
	cmd.Flags().StringVar(&debs, "debs", "", "directory with the .deb files")
	cmd.Flags().StringVar(&out, "out", "", "directory to make it in")
	for _, required := range []string{"debs", "out"} {
		if err := cmd.MarkFlagRequired(required); err != nil {
			panic(err)
		}
	}
	return cmd
}

// newWorldChildCommand is how the world starts its own processes.
func newWorldChildCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "child ROLE",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return world.ChildMain(cmd.Context(), args)
		},
	}
}
