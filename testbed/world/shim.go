package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/capability"
)

// RuntimeShimName is the name under which this binary is an OCI runtime: runc
// for machines whose root lacks a capability. There a privileged container,
// which asks for all of them, is refused by runc itself ("unable to apply caps").
const RuntimeShimName = "nestlab-runc"

// MissingCapabilities are those that the kernel knows and the bounding set of
// this process lacks, in the form that OCI bundles have: CAP_SYS_RESOURCE.
func MissingCapabilities() ([]string, error) {
	known, err := capability.ListSupported()
	if err != nil {
		return nil, fmt.Errorf("list the kernel's capabilities: %w", err)
	}
	var missing []string
	for _, c := range known {
		held, err := capability.GetBound(c)
		if err != nil {
			return nil, fmt.Errorf("look for capability %s in the bounding set: %w", c, err)
		}
		if !held {
			missing = append(missing, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return missing, nil
}

// DockerRuntime says whether Docker needs the shim on this machine. If so it
// puts the shim into the directory and gives what daemon.json must have.
func DockerRuntime(dir string) (daemonJSON map[string]any, needed bool, err error) {
	missing, err := MissingCapabilities()
	if err != nil || len(missing) == 0 {
		return nil, false, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, true, fmt.Errorf("find the own executable, to be Docker's runtime: %w", err)
	}
	shim := filepath.Join(dir, RuntimeShimName)
	if err := os.Symlink(self, shim); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, true, fmt.Errorf("make the runtime shim: %w", err)
	}
	return map[string]any{
		"default-runtime": RuntimeShimName,
		"runtimes":        map[string]any{RuntimeShimName: map[string]any{"path": shim}},
	}, true, nil
}

// RuntimeShimMain is runc with the arguments given, after the capabilities that
// are not available are out of the bundle or the process file. It returns the
// exit code only when runc could not be reached.
func RuntimeShimMain(args []string) int {
	if err := runtimeShim(args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", RuntimeShimName, err)
	}
	return 1
}

func runtimeShim(args []string) error {
	missing, err := MissingCapabilities()
	if err != nil {
		return err
	}
	if file, found := specFile(args); found {
		if err := DropCapabilities(file, missing); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find runc (it comes with Docker): %w", err)
	}
	if err := syscall.Exec(runc, append([]string{"runc"}, args...), os.Environ()); err != nil {
		return fmt.Errorf("execute %s: %w", runc, err)
	}
	return nil
}

// globalValues are runc's options before its command that take a value.
var globalValues = []string{"log", "log-format", "root", "criu", "rootless"}

// specFile is the file that says which capabilities the runc command asks for.
func specFile(args []string) (string, bool) {
	i := 0
	for i < len(args) && strings.HasPrefix(args[i], "-") {
		name := strings.TrimLeft(args[i], "-")
		if i++; slices.Contains(globalValues, name) {
			i++ // its value
		}
	}
	if i >= len(args) {
		return "", false
	}
	switch command := args[i]; command {
	case "create", "run", "restore":
		dir, found := option(args[i+1:], "bundle", "b")
		if !found {
			dir = "."
		}
		return filepath.Join(dir, "config.json"), true
	case "exec":
		return option(args[i+1:], "process", "p")
	}
	return "", false
}

// option finds the value of an option in the forms that runc takes.
func option(args []string, long, short string) (string, bool) {
	for i, a := range args {
		if !strings.HasPrefix(a, "-") {
			continue
		}
		name, value, joined := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case name != long && name != short:
		case joined:
			return value, true
		case i+1 < len(args):
			return args[i+1], true
		}
	}
	return "", false
}
