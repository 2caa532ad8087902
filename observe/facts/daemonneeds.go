package facts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/inroot"
)

// needs reads what dockerd's settings need of the place, and whether it is there.
func needs(d *model.Dockerd, p daemonProcess, docker *model.DockerFacts) error {
	info, err := os.Stat("/run/systemd/system")
	d.Systemd = err == nil && info.IsDir()
	if docker != nil && docker.RuntimeProgram != "" && !p.has(docker.RuntimeProgram) {
		d.Runtime, d.RuntimeProgram = docker.Runtime, docker.RuntimeProgram
	}
	var errs []error
	d.Certificates, err = certificateFaults(p.root)
	errs = append(errs, err, dataRoot(d, p, docker))
	return errors.Join(errs...)
}

// has reports whether the daemon finds a program; it is not held to be missing where that
// cannot be told.
func (p daemonProcess) has(program string) bool {
	candidates := []string{program}
	if !strings.Contains(program, "/") {
		candidates = nil
		for _, dir := range p.path {
			candidates = append(candidates, filepath.Join(dir, program))
		}
	}
	if p.root == "" || len(candidates) == 0 {
		return true
	}
	return slices.ContainsFunc(candidates, func(path string) bool {
		// What is a symbolic link leads on from the daemon's own root.
		_, err := os.Lstat(p.root + path)
		return !errors.Is(err, fs.ErrNotExist)
	})
}

// maxRegistries bounds how many directories of certificates are looked at.
const maxRegistries = 256

// certificateFaults are the client certificates without a key, keys without a certificate,
// and pairs that do not fit, of every registry, as a dockerd with that root directory sees them.
func certificateFaults(root string) ([]model.CertificateFault, error) {
	registries, err := inroot.Dir(root, dockerCerts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the certificates for registries: %w", err)
	}
	var all []model.CertificateFault
	for _, registry := range registries[:min(len(registries), maxRegistries)] {
		dir := filepath.Join(dockerCerts, registry.Name())
		files, err := inroot.Dir(root, dir)
		if err != nil {
			continue // a file beside the directories
		}
		has := func(name string) bool {
			return slices.ContainsFunc(files, func(f os.DirEntry) bool { return f.Name() == name })
		}
		for _, f := range files {
			other := ""
			if base, is := strings.CutSuffix(f.Name(), ".cert"); is {
				other = base + ".key"
			} else if base, is := strings.CutSuffix(f.Name(), ".key"); is {
				other = base + ".cert"
			}
			switch {
			case other == "":
			case !has(other):
				all = append(all, model.CertificateFault{Registry: registry.Name(), File: filepath.Join(dir, f.Name()), Lacks: other})
			case strings.HasSuffix(other, ".key"):
				if noPair(root, filepath.Join(dir, f.Name()), filepath.Join(dir, other)) {
					all = append(all, model.CertificateFault{Registry: registry.Name(), File: filepath.Join(dir, f.Name())})
				}
			}
		}
	}
	return all, nil
}

// maxCertificate bounds how long a certificate or key may be.
const maxCertificate = 1 << 20

// noPair reports whether a certificate and a key are no pair; false where they cannot be read.
func noPair(root, certificate, key string) bool {
	c, err := inroot.Read(root, certificate, maxCertificate)
	k, err2 := inroot.Read(root, key, maxCertificate)
	if err := errors.Join(err, err2); err != nil {
		return errors.Is(err, fs.ErrNotExist) // a link to nowhere
	}
	_, err = tls.X509KeyPair(c, k)
	return err != nil
}

// dataRoot reads what dockerd's data are on, as it sees it.
func dataRoot(d *model.Dockerd, p daemonProcess, docker *model.DockerFacts) error {
	d.Root = dockerRoot
	if s, ok := d.Setting("data-root"); ok {
		d.Root = s.Value
	}
	if docker != nil && docker.Root != "" {
		d.Root = docker.Root
	}
	table := "/proc/self/mountinfo"
	if p.root != "" {
		table = filepath.Join(filepath.Dir(p.root), "mountinfo")
	}
	f, err := os.Open(table)
	if err != nil {
		return fmt.Errorf("look at the mounts of dockerd's data: %w", err)
	}
	mounts, err := mountinfo.GetMountsFromReader(f, nil)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("look at the mounts of dockerd's data: %w", err)
	}
	readMounts(d, mounts)
	return nil
}

// readMounts reads which mounts dockerd's data are on.
func readMounts(d *model.Dockerd, mounts []*mountinfo.Info) {
	if m := mountOf(mounts, d.Root); m != nil {
		d.RootType = m.FSType
		options := strings.Split(m.VFSOptions, ",")
		d.ProjectQuota = slices.Contains(options, "prjquota") || slices.Contains(options, "pquota")
	}
	// The directories that dockerd writes to itself; those of containers are theirs.
	for _, dir := range []string{"", "overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "image", "containers", "volumes", "network", "buildkit", "tmp"} {
		path := filepath.Join(d.Root, dir)
		m := mountOf(mounts, path)
		if m == nil || dir != "" && m.Mountpoint != path {
			continue // it is what the root is
		}
		if slices.Contains(strings.Split(m.Options, ","), "ro") || slices.Contains(strings.Split(m.VFSOptions, ","), "ro") {
			d.ReadOnly = append(d.ReadOnly, path)
		}
	}
}

// mountOf is the mount that a path is on: of those at the same place the last.
func mountOf(mounts []*mountinfo.Info, path string) *mountinfo.Info {
	var best *mountinfo.Info
	for _, m := range mounts {
		in := m.Mountpoint == "/" || m.Mountpoint == path || strings.HasPrefix(path, m.Mountpoint+"/")
		if in && (best == nil || len(m.Mountpoint) >= len(best.Mountpoint)) {
			best = m
		}
	}
	return best
}

// subordinateFiles say which ids users may give to containers of their own.
var subordinateFiles = []string{"/etc/subuid", "/etc/subgid"}

// subordinates lists the files that are there and have no range for root, nor for lxd: there
// newuidmap refuses LXD's containers theirs.
func subordinates(_ context.Context, f *model.Facts) error {
	var errs []error
	for _, path := range subordinateFiles {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !ranged(string(text)) {
			f.NoSubordinates = append(f.NoSubordinates, path)
		}
	}
	return errors.Join(errs...)
}

// ranged reports whether lines NAME:FIRST:COUNT (subuid(5)) have one of root or of lxd.
func ranged(text string) bool {
	for l := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(l), ":")
		if slices.Contains([]string{"root", "0", "lxd"}, name) {
			return true
		}
	}
	return false
}
