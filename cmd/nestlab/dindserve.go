package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

func newDindServeCommand() *cobra.Command {
	s := dind.Server{Request: spec.NewDocker()}
	var read func(*cobra.Command) error
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run dockerd, supervised, until ended by a signal; installed first if the phase is runtime",
		Long: `Runs dockerd with what it needs on this machine: the iptables that the kernel
serves, a storage driver that works on the data root, networks that nothing here
uses, the MTU of the uplink. Each choice is one line of output. With --listen the
daemon is on TCP too, from the moment on that its API answers. A data root is
locked: a second daemon on it is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := read(cmd); err != nil {
				return err
			}
			s.Log = cmd.OutOrStdout()
			return explain(s.Run(cmd.Context()))
		},
	}
	read = requestFlags(cmd, &s.Request, dockerFlags)
	f, d := cmd.Flags(), &s.Daemon
	f.StringVar(&d.Socket, "socket", dind.DefaultSocket, "the unix socket to listen on")
	f.StringVar(&d.Shared, "share", "", "a second unix socket, for clients outside the container")
	f.StringVar(&d.Dir, "dir", "/var/lib/nestlab/dockerd", "directory of the daemon's settings and log")
	f.StringVar(&d.Root, "data-root", spec.DockerData, "directory of the daemon's data")
	f.StringVar(&s.Listen, "listen", "", "a TCP address to listen on too, such as :2375; open to all without --tls")
	f.StringVar(&s.Certificates, "certificates", spec.DockerCertificates, "directory of nestlab dind certificates, for --tls")
	f.StringVar(&s.Images, "images", spec.DockerImages, "directory of images to load: NAME/image.tar, and their name in NAME/ref")
	f.BoolVar(&s.Temporary, "temporary", false, "remove what an earlier daemon left in the data root first")
	f.StringArrayVar(&s.Sources, "source", nil, "a line of sources.list to install from instead of the configured ones (repeatable)")
	f.IntVar(&d.Restarts, "restarts", 3, "number of restarts of a daemon that dies")
	f.BoolVar(&d.Containerd, "containerd", false, "start containerd first instead of leaving that to dockerd, which waits 15 s for it")
	f.DurationVar(&s.Ready, "ready", time.Minute, "how long the API may take to answer")
	return cmd
}

// dockerFlags make the request.
func dockerFlags(f *pflag.FlagSet, d *spec.Docker) {
	originFlags(f, &d.Origin)
	wordVar(f, &d.Phase, "phase", "when Docker is installed")
	wordVar(f, &d.StorageDriver, "storage-driver", "how layers are kept; chosen by trying if empty")
	f.IntVar(&d.MTU, "mtu", 0, "MTU of the daemon's networks (default the uplink's, at most 1500)")
	f.StringArrayVar(&d.AddressPools, "address-pool", nil, "an IPv4 network that the daemon's networks are cut from (repeatable; default one that nothing here uses)")
	f.StringArrayVar(&d.Mirrors, "registry-mirror", nil, "URL of a mirror of Docker Hub (repeatable)")
	f.StringArrayVar(&d.Insecure, "insecure-registry", nil, "HOST[:PORT] or network of a registry that is asked without TLS too (repeatable)")
	f.BoolVar(&d.TLS, "tls", false, "take clients with a certificate only, on --listen")
	f.StringVar(&d.Data, "data-volume", "", "what the data root is called, for a second daemon that is refused")
}

func newDindCertificatesCommand() *cobra.Command {
	var hosts []string
	cmd := &cobra.Command{
		Use:   "certificates DIRECTORY",
		Short: "Make the certificates of a daemon and of its clients, in server and client of a directory",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return dind.WriteCertificates(args[0], hosts)
		},
	}
	cmd.Flags().StringArrayVar(&hosts, "host", []string{"docker", "localhost", "127.0.0.1", "::1"}, "a name or address of the daemon (repeatable)")
	return cmd
}

// explain adds to the error of a daemon that failed the cause that its last words tell.
func explain(err error) error {
	failed := (*session.DaemonError)(nil)
	if !errors.As(err, &failed) || errors.Is(err, context.Canceled) {
		return err
	}
	place := model.Place{Environment: model.EnvDind}
	failed.Daemon.Place = place
	d := diagnose.Diagnose(model.Run{
		Daemons: []model.Daemon{failed.Daemon},
		Results: []model.Result{{
			Place: place, Round: model.RoundBaseline, Probe: model.ProbeStart, Outcome: model.Error,
			Reason: model.NotStarted, Detail: model.Detail{Message: model.Clip(err.Error(), model.MaxMessage)},
		}},
	})
	if d.Cause == "" {
		return err
	}
	text := fmt.Sprintf("cause: %s (%s)", d.Title, d.Cause)
	if d.Remedy != nil {
		text += "\nfix: " + strings.Join(d.Remedy.Commands, "\n     ")
	}
	return fmt.Errorf("%w\n%s", err, text)
}
