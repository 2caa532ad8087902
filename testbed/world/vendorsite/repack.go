package vendorsite

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// repack makes packages with the vendor's names, versions and parts, and returns their
// directory and Docker's own version.
func (b builder) repack(ctx context.Context) (dir, version string, err error) {
	root := func(name string) string { return filepath.Join(b.work, name) }
	dir = root("debs")
	for _, d := range []string{dir, root("docker-ce-cli/usr/bin"), root("docker-ce"), root("containerd.io")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", "", err
		}
	}
	engine, err := b.unpack(ctx, "docker.io", root("docker-ce"), "Depends")
	if err != nil {
		return "", "", err
	}
	if version, err = b.unpack(ctx, "docker.io", root("docker-ce"), "Version"); err != nil {
		return "", "", err
	}
	version, _, _ = strings.Cut(version, "+")
	container, err := b.unpack(ctx, "containerd", root("containerd.io"), "Depends")
	if err != nil {
		return "", "", err
	}
	runtime, err := b.unpack(ctx, "runc", root("containerd.io"), "Depends")
	if err != nil {
		return "", "", err
	}
	if err := os.Rename(root("docker-ce/usr/bin/docker"), root("docker-ce-cli/usr/bin/docker")); err != nil {
		return "", "", err
	}
	full := "5:" + version + "-1~debian.12~bookworm"
	for _, p := range []struct{ name, depends, replaces string }{
		{"docker-ce-cli", "libc6", "docker.io"},
		{"containerd.io", without(container+", "+runtime, "runc"), "containerd, runc"},
		{"docker-ce", "containerd.io, docker-ce-cli, " + without(engine, "containerd", "runc"), "docker.io"},
	} {
		if err := build(ctx, root(p.name), p.name, full, p.depends, p.replaces, dir); err != nil {
			return "", "", err
		}
	}
	return dir, version, nil
}

// without leaves packages out of a list of dependencies.
func without(depends string, names ...string) string {
	var kept []string
next:
	for _, d := range strings.Split(depends, ", ") {
		for _, name := range names {
			if d == name || strings.HasPrefix(d, name+" ") {
				continue next
			}
		}
		kept = append(kept, d)
	}
	return strings.Join(kept, ", ")
}

func build(ctx context.Context, root, name, version, depends, replaces, dir string) error {
	control := fmt.Sprintf(`Package: %s
Version: %s
Architecture: amd64
Maintainer: nestlab <nobody@lab.test>
Depends: %s
Conflicts: %[4]s
Replaces: %[4]s
Description: Debian's Docker by the names of its vendor
`, name, version, depends, replaces)
	if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644); err != nil {
		return err
	}
	// Fast, for these files live shortly.
	_, err := run(ctx, "dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", root, dir)
	return err
}

// archive is the vendor's: programs in one directory. Debian's dockerd is not static; what
// it needs beyond a plain Debian lies beside it.
func (b builder) archive(ctx context.Context) ([]byte, error) {
	for _, name := range []string{"libdevmapper1.02.1", "tini"} {
		if _, err := b.unpack(ctx, name, filepath.Join(b.work, "beside"), "Version"); err != nil {
			return nil, err
		}
	}
	// Debian's docker-init is a link to that of another package.
	if err := os.Rename(filepath.Join(b.work, "beside/usr/bin/tini-static"), filepath.Join(b.work, "beside/docker-init")); err != nil {
		return nil, err
	}
	programs := filepath.Join(b.work, "docker-ce", "usr")
	if _, err := run(ctx, "patchelf", "--set-rpath", "$ORIGIN", filepath.Join(programs, "sbin", "dockerd")); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(zipped)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "docker/", Mode: 0o755}); err != nil {
		return nil, err
	}
	for _, path := range []string{
		"docker-ce/usr/sbin/dockerd", "docker-ce/usr/sbin/docker-proxy", "docker-ce-cli/usr/bin/docker",
		"containerd.io/usr/bin/containerd", "containerd.io/usr/bin/containerd-shim-runc-v2", "containerd.io/usr/sbin/runc",
		"beside/docker-init", "beside/lib/x86_64-linux-gnu/libdevmapper.so.1.02.1",
	} {
		content, err := os.ReadFile(filepath.Join(b.work, path))
		if err != nil {
			return nil, err
		}
		err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "docker/" + filepath.Base(path), Mode: 0o755, Size: int64(len(content))})
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return nil, err
		}
	}
	err = errors.Join(w.Close(), zipped.Close())
	return buf.Bytes(), err
}
