package dind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// chooseIPTables finds the iptables that this kernel serves: the one that is configured, or
// of the other kind. For that one it gives a directory, to be first on dockerd's PATH, where
// the program has the usual name.
func chooseIPTables(ctx context.Context, dir string) (path, why string, err error) {
	var failed []error
	for _, name := range []string{"iptables", "iptables-nft", "iptables-legacy"} {
		program, err := exec.LookPath(name)
		if err == nil {
			err = tryIPTables(ctx, program)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if len(failed) == 0 {
			return "", name + ", as configured: it lists the table nat", nil
		}
		path, err := named(filepath.Join(dir, "iptables"), program)
		return path, fmt.Sprintf("%s: %v", name, failed[0]), err
	}
	return "", "", fmt.Errorf("find an iptables that this kernel serves: %w; load its modules on the host (modprobe ip_tables iptable_nat, or nf_tables nft_chain_nat)", errors.Join(failed...))
}

// tryIPTables lists the table that dockerd cannot do without.
func tryIPTables(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, program, "--wait", "10", "--table", "nat", "--list-rules").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s lists no table nat: %w: %.300s", filepath.Base(program), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// named makes a directory in which iptables is this program, and ip6tables its sibling.
func named(dir, program string) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("remove what an earlier start chose of iptables: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a directory for the chosen iptables: %w", err)
	}
	six := filepath.Join(filepath.Dir(program), "ip6"+strings.TrimPrefix(filepath.Base(program), "ip"))
	for name, target := range map[string]string{"iptables": program, "ip6tables": six} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("name the chosen iptables: %w", err)
		}
	}
	return dir, nil
}
