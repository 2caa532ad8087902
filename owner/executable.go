package owner

import (
	"fmt"
	"os"
)

// itself is this program, whatever its path leads to by now.
const itself = "/proc/self/exe"

// Executable is how this program is started once more: its path, unless that leads to no or
// to another program, as in another mount namespace than the one it was started in.
func Executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this binary: %w", err)
	}
	me, err := os.Stat(itself)
	if err != nil {
		return "", fmt.Errorf("find this binary: %w", err)
	}
	if at, err := os.Stat(path); err == nil && os.SameFile(at, me) {
		return path, nil
	}
	return itself, nil
}
