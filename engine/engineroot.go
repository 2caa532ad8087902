package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// dnsmasqWrapper keeps the engine's own /etc/hosts, which sends the registries'
// names to the mirror, away from the containers that ask the engine's dnsmasq.
const dnsmasqWrapper = "#!/bin/sh\nexec /usr/sbin/dnsmasq --no-hosts \"$@\"\n"

// engineRoot is the recipe of the engine's root file system, laid out as in the
// published image. It is never written to: the engine runs on an overlay.
func (c cache) engineRoot(tarDigest string, bins map[string]string) (artifact, error) {
	config, err := engineConfig()
	if err != nil {
		return artifact{}, err
	}
	files := map[string]string{
		"etc/dagger/engine.json":               config,
		"etc/dagger/engine.toml":               "",
		"etc/hosts":                            hostsFile(),
		"etc/resolv.conf":                      "nameserver " + uplinkDNS + "\n",
		"usr/local/sbin/dnsmasq":               dnsmasqWrapper,
		"var/lib/dagger/.keep":                 "",
		"usr/local/share/dagger/content/.keep": "",
	}
	key := []string{"engine-root 1", tarDigest, bins["engine"], bins["init"], bins["dnsname"]}
	for _, p := range sortedKeys(files) {
		key = append(key, p, files[p])
	}
	return artifact{
		name:  "engine-root",
		title: "unpack the engine's root",
		paths: []string{"engine-root"},
		key:   recipe(key...),
		build: func(ctx context.Context, tmp string) error {
			root := filepath.Join(tmp, "engine-root")
			if err := os.Mkdir(root, 0o755); err != nil {
				return err
			}
			cmd := newCommand(ctx, "tar", "--extract", "--preserve-permissions", "--numeric-owner",
				"--file", c.path("roots/engine.tar"), "--directory", root)
			if err := c.run("engine-root", cmd); err != nil {
				return err
			}
			return c.furnish(root, files)
		},
	}, nil
}

// furnish puts binaries and settings into the engine's root.
func (c cache) furnish(root string, files map[string]string) error {
	for path, content := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := writeInto(filepath.Join(root, path), strings.NewReader(content), mode); err != nil {
			return err
		}
	}
	copies := map[string]string{
		"usr/local/bin/dagger-engine": c.bin("engine"),
		"usr/local/bin/dagger-init":   c.bin("init"),
		"opt/cni/bin/dnsname":         c.bin("dnsname"),
	}
	for _, plugin := range []string{"bridge", "loopback", "firewall", "host-local"} {
		copies["opt/cni/bin/"+plugin] = filepath.Join(root, "usr/lib/cni", plugin)
	}
	for to, from := range copies {
		if err := copyInto(filepath.Join(root, to), from); err != nil {
			return err
		}
	}
	if err := os.Symlink("/usr/sbin/runc", filepath.Join(root, "usr/local/bin/runc")); err != nil {
		return err
	}
	// The certificates are in the trust store by now. Here the engine would take
	// them for custom ones, to be installed into every container anew.
	found, err := filepath.Glob(filepath.Join(root, caDir, "*"))
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	return nil
}

// cacheAtMost is what the engine keeps in its cache, and cacheAtLeast what it keeps
// when the disk is nearly full. One whole test run leaves less than the former: by
// itself the engine would go on until three quarters of the disk are its own.
const cacheAtMost, cacheAtLeast = "25GB", "10GB"

// engineConfig is the engine's own settings: every registry that it knows is
// the mirror, in plain HTTP, and there is no second place to look.
func engineConfig() (string, error) {
	type registry struct {
		HTTP bool `json:"http"`
	}
	registries := map[string]registry{}
	for _, host := range mirroredRegistries {
		registries[host] = registry{HTTP: true}
	}
	gc := map[string]string{"maxUsedSpace": cacheAtMost, "reservedSpace": cacheAtLeast, "minFreeSpace": "20%"}
	b, err := json.MarshalIndent(map[string]any{"logLevel": "info", "registries": registries, "gc": gc}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the engine's settings: %w", err)
	}
	return string(b) + "\n", nil
}

// hostsFile sends the registries' names to the mirror, for the engine alone.
func hostsFile() string {
	names := append([]string{dockerHubHost}, mirroredRegistries...)
	return "127.0.0.1 localhost\n127.0.0.1 " + strings.Join(names, " ") + "\n"
}

func copyInto(to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeInto(to, f, 0o755)
}

func writeInto(path string, r io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
