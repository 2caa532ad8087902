package pipelines

import (
	"errors"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/spec"
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

// ImagePath is where a request finds the image's file.
const ImagePath = "/run/nestlab/image"

// Where the container that drives an LXD finds what reaches it.
const (
	lxdSocketPath  = "/run/nestlab/lxd.socket"
	clientCertPath = "/run/nestlab/client.crt"
	clientKeyPath  = "/run/nestlab/client.key"
	serverCertPath = "/run/nestlab/server.crt"
	rootfsPath     = "/run/nestlab/rootfs"
	cachePath      = "/run/nestlab/cache"
)

// reach gives a container the way to the LXD, and nestlab the flags for it.
func (l LXD) reach(ctr *dagger.Container) (*dagger.Container, []string) {
	if l.Socket != nil {
		return ctr.WithUnixSocket(lxdSocketPath, l.Socket), []string{"--lxd", lxdSocketPath}
	}
	ctr = ctr.WithMountedFile(clientCertPath, l.ClientCert).WithMountedSecret(clientKeyPath, l.ClientKey)
	flags := []string{"--lxd", l.Address, "--client-cert", clientCertPath, "--client-key", clientKeyPath}
	if l.ServerCert != nil {
		ctr = ctr.WithMountedFile(serverCertPath, l.ServerCert)
		flags = append(flags, "--server-cert", serverCertPath)
	}
	return ctr, flags
}

// Files are those that a call gives to an LXD and its instances.
type Files struct {
	// Image is imported, where it is not nil; Rootfs is its second file, where it has two.
	Image, Rootfs *dagger.File
	// Cache is for the scenario that needs it.
	Cache *dagger.Directory
}

// mount gives a container the files, and nestlab the flags for them.
func (f Files) mount(ctr *dagger.Container) (*dagger.Container, []string) {
	var flags []string
	if f.Image != nil {
		ctr = ctr.WithMountedFile(ImagePath, f.Image)
	}
	if f.Rootfs != nil {
		ctr, flags = ctr.WithMountedFile(rootfsPath, f.Rootfs), append(flags, "--rootfs", rootfsPath)
	}
	if f.Cache != nil {
		ctr, flags = ctr.WithMountedDirectory(cachePath, f.Cache), append(flags, "--cache", cachePath)
	}
	return ctr, flags
}

// VM runs the suite in instances of an LXD. It returns the directory of the run.
func (o Options) VM(h spec.HostRun, lxd LXD, files Files) (*dagger.Directory, error) {
	ctr, way := lxd.reach(o.Images.Plain())
	ctr, given := files.mount(ctr)
	ctr, args, err := withRequest(ctr, h)
	if err != nil {
		return nil, err
	}
	return o.observe(ctr, spec.Live, true, slices.Concat([]string{spec.BinaryPath, "vm", "run"}, args, way, given)...), nil
}
