package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// aptTools are the commands that the host needs, and the Debian packages that
// bring them: one makes root file systems, one is the engine's uplink.
var aptTools = map[string]string{
	"mmdebstrap":  "mmdebstrap",
	"slirp4netns": "slirp4netns",
}

// errNextStep is what to do where no engine of ours can be had.
var errNextStep = errors.New("start Docker and put a dagger CLI on PATH, or set _EXPERIMENTAL_DAGGER_RUNNER_HOST to an engine")

// hostTools installs what is missing on the host.
func (c cache) hostTools(ctx context.Context, out *progress) error {
	var missing []string
	for command, pkg := range aptTools {
		if _, err := exec.LookPath(command); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%s is missing and there is no apt-get to install it: %w", strings.Join(missing, ", "), errNextStep)
	}
	return out.step(ctx, "install "+strings.Join(missing, ", "), func(ctx context.Context) error {
		if c.apt(ctx, append([]string{"install", "--no-install-recommends"}, missing...)...) == nil {
			return nil
		}
		// The lists may be missing or old: that is the usual reason.
		if err := c.apt(ctx, "update"); err != nil {
			return err
		}
		return c.apt(ctx, append([]string{"install", "--no-install-recommends"}, missing...)...)
	})
}

func (c cache) apt(ctx context.Context, args ...string) error {
	cmd := newCommand(ctx, "apt-get", append([]string{"--quiet", "--yes"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return c.run("apt", cmd)
}
