// Package vendorsite makes a site such as Docker's own (download.docker.com and
// get.docker.com) of Debian's real Docker: an apt repository signed with a key of its own,
// an archive of programs, and a script that installs from the repository.
package vendorsite

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/nestlab/nestlab/testbed/world/aptrepo"
)

// Script is the name of the script in the site, Manifest of what is pinned of the site.
const (
	Script   = "get-docker.sh"
	Manifest = "vendor.json"
)

//go:embed get-docker.sh
var script []byte

// Pinned is what somebody who trusts the site pins.
type Pinned struct {
	// Version is Docker's own.
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	// Script and Archive are SHA-256.
	Script  string `json:"script"`
	Archive string `json:"archive"`
}

// Build makes the site in the directory out of the packages in the directory debs:
// docker.io, containerd, runc, and libdevmapper1.02.1 and tini for the archive. It needs dpkg-deb,
// apt-ftparchive and patchelf.
func Build(ctx context.Context, debs, out string) (err error) {
	work, err := os.MkdirTemp("", "nestlab-vendor-")
	if err != nil {
		return fmt.Errorf("make a directory for the vendor's packages: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	b := builder{debs: debs, work: work}
	packages, version, err := b.repack(ctx)
	if err != nil {
		return fmt.Errorf("make the vendor's packages: %w", err)
	}
	key, err := openpgp.NewEntity("nestlab simulated vendor", "", "vendor@lab.test", &packet.Config{RSABits: 3072, DefaultHash: crypto.SHA512})
	if err != nil {
		return fmt.Errorf("make the vendor's key: %w", err)
	}
	repository := filepath.Join(out, "linux", "debian")
	if err := (aptrepo.Repository{Component: "stable", Key: key}).Build(ctx, packages, repository); err != nil {
		return err
	}
	public, err := armored(key)
	if err != nil {
		return err
	}
	archive, err := b.archive(ctx)
	if err != nil {
		return fmt.Errorf("make the vendor's archive: %w", err)
	}
	pinned, err := json.MarshalIndent(Pinned{
		Version: version, Fingerprint: fmt.Sprintf("%X", key.PrimaryKey.Fingerprint), Script: sum(script), Archive: sum(archive),
	}, "", "  ")
	if err != nil {
		return err
	}
	for path, content := range map[string][]byte{
		"linux/debian/gpg": public, Script: script, Manifest: pinned,
		"linux/static/stable/x86_64/docker-" + version + ".tgz": archive,
	} {
		path = filepath.Join(out, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			return fmt.Errorf("write the vendor's site: %w", err)
		}
	}
	return nil
}

func sum(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

func armored(key *openpgp.Entity) ([]byte, error) {
	var text bytes.Buffer
	w, err := armor.Encode(&text, openpgp.PublicKeyType, nil)
	if err == nil {
		err = errors.Join(key.Serialize(w), w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("write the vendor's key: %w", err)
	}
	return text.Bytes(), nil
}

// builder takes Debian's packages apart in a directory.
type builder struct{ debs, work string }

// deb is the one file of a package.
func (b builder) deb(name string) (string, error) {
	found, err := filepath.Glob(filepath.Join(b.debs, name+"_*.deb"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%s has %d packages %s_*.deb: give one (apt-get download %s)", b.debs, len(found), name, name)
	}
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// unpack adds the files of a package to a directory, and gives a field of the package.
func (b builder) unpack(ctx context.Context, name, to, field string) (string, error) {
	path, err := b.deb(name)
	if err != nil {
		return "", err
	}
	if _, err := run(ctx, "dpkg-deb", "--extract", path, to); err != nil {
		return "", err
	}
	value, err := run(ctx, "dpkg-deb", "--field", path, field)
	return strings.TrimSpace(value), err
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", name, args[0], err, said.Bytes())
	}
	return out.String(), nil
}
