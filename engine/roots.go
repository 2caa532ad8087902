package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// caDir is where Debian keeps the certificates that the machine's owner trusts.
const caDir = "/usr/local/share/ca-certificates"

// rootPackages are the Debian packages of each root, beyond the minimum.
var rootPackages = map[string][]string{
	"base": {"ca-certificates"},
	"engine": {"ca-certificates", "git", "openssh-client", "runc", "iptables", "dnsmasq-base",
		"containernetworking-plugins", "pigz", "xz-utils", "ripgrep"},
}

// root is the recipe of a Debian root file system as a tar file, with the
// machine's own CA certificates in its trust store. They are baked in because
// the engine's custom-CA folder costs every exec three seconds.
func (c cache) root(name string, sources []string) (artifact, error) {
	cas, err := digestFiles(caDir)
	if err != nil {
		return artifact{}, err
	}
	args := []string{"--variant=minbase", "--include=" + strings.Join(rootPackages[name], ","), "--dpkgopt=force-unsafe-io"}
	if cas != "" {
		args = append(args, "--customize-hook=copy-in "+caDir+" "+filepath.Dir(caDir))
	}
	args = append(args,
		`--customize-hook=chroot "$1" update-ca-certificates`,
		`--customize-hook=rm -f "$1/etc/hostname" && printf "127.0.0.1 localhost\n" > "$1/etc/hosts"`,
		suite)
	return artifact{
		name:  "root-" + name,
		title: "build the Debian root " + name,
		paths: []string{"roots/" + name + ".tar"},
		key:   recipe(append(append([]string{"root", cas}, args...), sources...)...),
		build: func(ctx context.Context, tmp string) error {
			work := filepath.Join(tmp, "work")
			if err := os.Mkdir(work, 0o755); err != nil {
				return err
			}
			tar := filepath.Join(tmp, name+".tar")
			cmd := newCommand(ctx, "mmdebstrap", append(append(args, tar), sources...)...)
			cmd.Env = append(os.Environ(), "TMPDIR="+work)
			// Mounts of a run that is killed go away with its namespace.
			cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
			return c.run("root-"+name, cmd)
		},
	}, nil
}

// digestFiles is a digest of the content of all files below dir, empty where there are none.
func digestFiles(dir string) (string, error) {
	var parts []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipGone(err)
		}
		digest, err := fileDigest(p)
		parts = append(parts, p, digest)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the machine's CA certificates: %w", err)
	}
	if len(parts) == 0 {
		return "", nil
	}
	return recipe(parts...), nil
}
