package dind

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/nestlab/nestlab/spec"
)

// The vendor's repository and its key, as the vendor's own instructions have them.
const (
	vendorKey  = "/etc/apt/keyrings/docker.asc"
	vendorList = "/etc/apt/sources.list.d/docker.list"

	maxKey = 1 << 20 // bytes
)

// dockerCE installs the vendor's packages. Its key is one alone, and has the pinned
// fingerprint: apt takes what any key of a file has signed.
func (i Install) dockerCE(ctx context.Context) (err error) {
	if err := i.prepare(ctx); err != nil {
		return err
	}
	id, codename, err := distribution("/etc/os-release")
	if err != nil {
		return err
	}
	site := i.Download() + "/linux/" + id
	if err := i.trust(ctx, cmp.Or(i.Key, site+"/gpg")); err != nil {
		return err
	}
	line := fmt.Sprintf("deb [signed-by=%s] %s %s stable", vendorKey, site, codename)
	if err := os.WriteFile(vendorList, []byte(line+"\n"), 0o644); err != nil {
		return fmt.Errorf("add the vendor's repository: %w", err)
	}
	var sources []string
	if len(i.Sources) > 0 {
		sources = append(append(sources, i.Sources...), line)
	}
	a, cleanup, err := useApt(i, sources)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	if i.DownloadURL != "" { // a mirror is the caller's alone
		defer func() { err = errors.Join(err, os.Remove(vendorList), os.Remove(vendorKey)) }()
	}
	if err := a.update(ctx); err != nil {
		return err
	}
	others := append([]string{"containerd.io"}, needed...)
	if i.Client {
		plugins, err := a.known(ctx, "docker-buildx-plugin", "docker-compose-plugin")
		if err != nil {
			return err
		}
		others = append(others, plugins...)
	}
	return a.installVersion(ctx, vendorVersion(i.Version), []string{"docker-ce", "docker-ce-cli"}, others...)
}

// vendorVersion is a version as apt matches it. The vendor's packages have an epoch and the
// release of the distribution around Docker's own version, such as 5:28.5.2-1~debian.12~bookworm.
func vendorVersion(version string) string {
	if version == "" || strings.ContainsAny(version, ":~") {
		return version
	}
	return "5:" + version + "-*"
}

// trust fetches the vendor's key, and keeps it for apt once it is the pinned one.
func (i Install) trust(ctx context.Context, address string) (err error) {
	path, err := i.download(ctx, address, maxKey, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the vendor's key: %w", err)
	}
	key, err := pinnedKey(text, cmp.Or(i.Fingerprint, spec.VendorFingerprint))
	if err != nil {
		return fmt.Errorf("check the key that %s gives: %w", address, err)
	}
	if err := os.MkdirAll(filepath.Dir(vendorKey), 0o755); err != nil {
		return fmt.Errorf("keep the vendor's key: %w", err)
	}
	if err := os.WriteFile(vendorKey, key, 0o644); err != nil {
		return fmt.Errorf("keep the vendor's key: %w", err)
	}
	return nil
}

// pinnedKey is the one key of an armored text, which has to have that fingerprint. It is
// written again: what was not read of the text is not handed on.
func pinnedKey(text []byte, fingerprint string) ([]byte, error) {
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is no armored OpenPGP key: %w", err)
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("it has %d keys: one is pinned, and apt would trust them all", len(keys))
	}
	if has := fmt.Sprintf("%X", keys[0].PrimaryKey.Fingerprint); !strings.EqualFold(has, fingerprint) {
		return nil, fmt.Errorf("its fingerprint is %s, not %s: if the vendor has a new key, give its fingerprint (--fingerprint)", has, strings.ToUpper(fingerprint))
	}
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, fmt.Errorf("write it again: %w", err)
	}
	if err := errors.Join(keys[0].Serialize(w), w.Close()); err != nil {
		return nil, fmt.Errorf("write it again: %w", err)
	}
	return append(out.Bytes(), '\n'), nil
}

// distribution reads which one this is, and which release.
func distribution(path string) (id, codename string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("find out which distribution this is: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch value = strings.Trim(value, `"'`); key {
		case "ID":
			id = value
		case "VERSION_CODENAME":
			codename = value
		}
	}
	if id == "" || codename == "" {
		return "", "", fmt.Errorf("find out which distribution this is: %s names no ID and VERSION_CODENAME: use a released Debian or Ubuntu, or another method", path)
	}
	return id, codename, nil
}

// maxScript is the most that the vendor's script may have, in bytes.
const maxScript = 1 << 20

// script runs the vendor's script. It reads the variables that are given here.
func (i Install) script(ctx context.Context) (err error) {
	address := cmp.Or(i.Script, spec.VendorScript)
	if _, err := os.Stat(certificates); err != nil && i.CA == "" && strings.HasPrefix(address, "https://") {
		if err := i.prepare(ctx); err != nil {
			return err
		}
	}
	path, err := i.download(ctx, address, maxScript, i.Checksum)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	var env []string
	if i.Version != "" {
		env = append(env, "VERSION="+i.Version)
	}
	if i.DownloadURL != "" {
		env = append(env, "DOWNLOAD_URL="+i.Download())
	}
	if err := command(ctx, i.Log, env, "sh", path); err != nil {
		return fmt.Errorf("run the script of %s: %w", address, err)
	}
	if _, err := exec.LookPath("iptables"); err != nil { // the vendor's packages only recommend it
		return i.prepare(ctx)
	}
	return nil
}
