package pipelines

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/internal/dagger"
)

// LXD is one that somebody else runs.
type LXD struct {
	// Socket is its unix socket; nil where it is reached at Address, by https.
	Socket  *dagger.Socket
	Address string
	// ClientCert, ClientKey and ServerCert are for https, the last where no known
	// authority signed it.
	ClientCert, ServerCert *dagger.File
	ClientKey              *dagger.Secret
	// Project and Member are empty for LXD's own choice.
	Project, Member string
}

// Validate checks what was asked for before anything is built.
func (l LXD) Validate() error {
	certificates := l.ClientCert != nil || l.ClientKey != nil || l.ServerCert != nil
	switch {
	case (l.Socket == nil) == (l.Address == ""):
		return errors.New("name one LXD: its unix socket with --lxd, or https://HOST:PORT with --address")
	case l.Socket != nil && certificates:
		return errors.New("certificates are for an LXD at an https --address, not for a socket")
	case l.Socket == nil && !strings.HasPrefix(l.Address, "https://"):
		return errors.New("--address is https://HOST:PORT")
	case l.Socket == nil && (l.ClientCert == nil || l.ClientKey == nil):
		return errors.New("an LXD at an https address wants --client-cert and --client-key")
	}
	return nil
}

// Where the container that drives an LXD finds what reaches it.
const (
	lxdSocketPath  = "/run/nestlab/lxd.socket"
	clientCertPath = "/run/nestlab/client.crt"
	clientKeyPath  = "/run/nestlab/client.key"
	serverCertPath = "/run/nestlab/server.crt"
	imagePath      = "/run/nestlab/image"
	rootfsPath     = "/run/nestlab/rootfs"
	cachePath      = "/run/nestlab/cache"
)

// reach gives a container the way to the LXD, and nestlab the flags for it.
func (l LXD) reach(ctr *dagger.Container) (*dagger.Container, []string) {
	flags := []string{"--project", l.Project, "--member", l.Member}
	if l.Socket != nil {
		return ctr.WithUnixSocket(lxdSocketPath, l.Socket), append(flags, "--lxd", lxdSocketPath)
	}
	ctr = ctr.WithMountedFile(clientCertPath, l.ClientCert).WithMountedSecret(clientKeyPath, l.ClientKey)
	flags = append(flags, "--lxd", l.Address, "--client-cert", clientCertPath, "--client-key", clientKeyPath)
	if l.ServerCert != nil {
		ctr = ctr.WithMountedFile(serverCertPath, l.ServerCert)
		flags = append(flags, "--server-cert", serverCertPath)
	}
	return ctr, flags
}

// Instances are those that a call makes on an LXD.
type Instances struct {
	// Environments are lxd-container and lxd-vm.
	Environments []string
	// Image is an alias or a fingerprint; ImageServer is the simplestreams server
	// that has it, empty where LXD does.
	Image, ImageServer string
	// ImageFile is imported instead, where it is not nil; RootfsFile is its second
	// file, where it has two.
	ImageFile, RootfsFile *dagger.File
	// Network and Pool are LXD's.
	Network, Pool string
	// Config are further configuration keys as KEY=VALUE.
	Config []string
	// Devices are keys of devices as NAME,KEY=VALUE,...; Family is all or v4.
	Devices []string
	Family  string
	// Script and Cache are for the scenarios that need them.
	Script string
	Cache  *dagger.Directory
}

// image gives a container the image's files, and nestlab the flags for them.
func (i Instances) image(ctr *dagger.Container) (*dagger.Container, []string) {
	if i.ImageFile == nil {
		return ctr, []string{"--image", i.Image, "--image-server", i.ImageServer}
	}
	ctr, flags := ctr.WithMountedFile(imagePath, i.ImageFile), []string{"--image", imagePath}
	if i.RootfsFile != nil {
		ctr, flags = ctr.WithMountedFile(rootfsPath, i.RootfsFile), append(flags, "--rootfs", rootfsPath)
	}
	return ctr, flags
}

// scenarios gives a container what scenarios need, and nestlab the flags for it.
func (i Instances) scenarios(ctr *dagger.Container, names []string) (*dagger.Container, []string) {
	flags := []string{"--script", i.Script}
	for _, s := range names {
		flags = append(flags, "--scenarios", s)
	}
	if i.Cache != nil {
		ctr, flags = ctr.WithMountedDirectory(cachePath, i.Cache), append(flags, "--cache", cachePath)
	}
	return ctr, flags
}

// VM runs the suite in instances of an LXD. It returns the directory of the run.
func (o Options) VM(lxd LXD, i Instances) *dagger.Directory {
	args := []string{
		dind.BinaryPath, "vm", "run", "--network", i.Network, "--family", i.Family, "--pool", i.Pool,
		"--platform", o.platform(), "--retries", strconv.Itoa(o.Retries), "--out", outPath,
	}
	ctr, way := lxd.reach(o.Images.Plain())
	ctr, image := i.image(ctr)
	ctr, tried := i.scenarios(ctr, o.Scenarios)
	args = slices.Concat(args, way, image, tried)
	for _, e := range i.Environments {
		args = append(args, "--environments", e)
	}
	for _, c := range i.Config {
		args = append(args, "--config", c)
	}
	if len(i.Devices) > 0 {
		args = append(args, "--device", strings.Join(i.Devices, ","))
	}
	return o.observe(ctr, true, args...)
}
