package drops

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// unavailable says why a step of the start did not succeed.
func unavailable(step string, err error) error {
	why := step
	var rejected *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, fs.ErrPermission):
		why += " is not permitted: run as root in the machine or in a privileged container (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN)"
	case errors.Is(err, btf.ErrNotFound):
		why += ": this kernel's types are not as expected"
	case errors.Is(err, btf.ErrNotSupported), errors.Is(err, fs.ErrNotExist) && step == "read the kernel's types":
		why += ": this kernel has no BTF (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)"
	case errors.As(err, &rejected):
		why += ": this kernel rejects it (Linux 5.5 and no lockdown are needed)"
	}
	return &observe.Unavailable{Source: Source, Why: why, Err: err}
}

const lockdownFile = "/sys/kernel/security/lockdown"

// lockdown returns an error where the kernel does not let programs read its memory.
// Where securityfs is not mounted the loading of the program tells.
func lockdown() error {
	b, err := os.ReadFile(lockdownFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil
	case err != nil:
		return fmt.Errorf("read whether the kernel is locked down: %w", err)
	}
	return locked(string(b))
}

// locked reads the file's one line, such as "none [integrity] confidentiality".
func locked(line string) error {
	if !strings.Contains(line, "[confidentiality]") {
		return nil
	}
	return &observe.Unavailable{Source: Source, Why: "the kernel is locked down (confidentiality): no program may read its memory"}
}
