package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/tail"
)

// What is done in an instance that runs: files in, commands, looks around.

// binaryPath is where the one binary stands in an instance.
const binaryPath = "/usr/local/bin/nestlab"

// push copies the one binary in.
func (i *Instance) push(ctx context.Context) error {
	f, err := os.Open(i.Binary)
	if err != nil {
		return fmt.Errorf("read the binary for %s: %w", i.Name, err)
	}
	defer f.Close()
	return i.Push(ctx, binaryPath, 0o755, f)
}

// Push writes a file by LXD's API, never over the network under test. Its
// directory has to be there.
func (i *Instance) Push(ctx context.Context, path string, mode int, content io.ReadSeeker) error {
	err := Do(ctx, func() error {
		return i.server.CreateInstanceFile(i.Name, path, lxd.InstanceFileArgs{
			// The client would close a file.
			Content: struct{ io.ReadSeeker }{content}, Mode: mode, Type: "file", WriteMode: "overwrite",
		})
	})
	if err != nil {
		return fmt.Errorf("push %s into %s: %w", path, i.Name, err)
	}
	return nil
}

// MakeDirectory makes a directory in the instance; its parent has to be there.
func (i *Instance) MakeDirectory(ctx context.Context, path string) error {
	err := Do(ctx, func() error {
		return i.server.CreateInstanceFile(i.Name, path, lxd.InstanceFileArgs{Mode: 0o755, Type: "directory"})
	})
	if err != nil {
		return fmt.Errorf("make %s in %s: %w", path, i.Name, err)
	}
	return nil
}

// Tune changes the instance's own network.
func (i *Instance) Tune(ctx context.Context, t Tuning) error {
	// Its two streams are written to from two sides at once.
	log := tail.New(model.MaxMessage)
	code, err := i.Exec(ctx, session.Command{Args: t.Arguments(), Stdout: log, Stderr: log})
	if err == nil && code != 0 {
		err = fmt.Errorf("nestlab %v ended with %d: %s", t.Arguments(), code, log)
	}
	if err != nil {
		return fmt.Errorf("tune %s: %w", i.Name, err)
	}
	return nil
}

// await waits until the instance takes the binary, and looks around by it. A
// container takes it at once, a virtual machine when its agent is up.
func (i *Instance) await(ctx context.Context) ([]Unmet, error) {
	agent := Requirement{
		Description: "answer of the agent", Within: i.Ready, Fatal: true,
		Check: i.push,
		Hint:  "a virtual machine's image must start lxd-agent; look at its console",
	}
	unmet, err := Await(ctx, []Requirement{agent})
	if err != nil {
		return unmet, err
	}
	if i.Prepare != nil {
		if err := i.Prepare(ctx, i); err != nil {
			return unmet, err
		}
	}
	requirements := networked(i.Patience, !i.NoIPv6 && i.hasIPv6(ctx), i.look)
	if i.NoIPv6 {
		if err := i.Tune(ctx, Tuning{NoIPv6: true}); err != nil {
			return unmet, err
		}
		requirements = append(requirements, i.withoutIPv6())
	}
	return Await(ctx, requirements)
}

// withoutIPv6 holds that IPv6 stayed off: systemd-networkd turns it on again where it
// manages the card, which it may do after it was turned off.
func (i *Instance) withoutIPv6() Requirement {
	return Requirement{
		Description: "end of IPv6", Within: time.Duration(max(1, i.Patience)) * 10 * time.Second, Fatal: true,
		Check: func(ctx context.Context) error {
			s, err := i.look(ctx, false)
			if err != nil || s.NoIPv6 {
				return err
			}
			return errors.Join(errors.New("something in it turned IPv6 on again"), i.Tune(ctx, Tuning{NoIPv6: true}))
		},
		Hint: "look at what configures its network card (systemd-networkd: LinkLocalAddressing=, IPv6AcceptRA=)",
	}
}

// hasIPv6 reports whether its bridge offers IPv6. What LXD does not tell is not
// waited for.
func (i *Instance) hasIPv6(ctx context.Context) bool {
	if i.Network == "" {
		return false
	}
	state, err := Ask(ctx, func() (*api.NetworkState, error) { return i.server.GetNetworkState(i.Network) })
	return err == nil && ipv6In(state)
}

// maxSight is the most that a look around may print, in bytes.
const maxSight = 256 << 10

func (i *Instance) look(ctx context.Context, resolver bool) (s Sight, err error) {
	out, log := tail.New(maxSight), tail.New(model.MaxMessage)
	code, err := i.Exec(ctx, session.Command{Args: lookArgs(resolver), Stdout: out, Stderr: log})
	if err != nil {
		return s, err
	}
	if code != 0 {
		return s, fmt.Errorf("nestlab vm look ended with %d: %s", code, log)
	}
	text, cut := out.Bytes()
	if cut > 0 {
		return s, fmt.Errorf("nestlab vm look printed more than %d KiB", maxSight>>10)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("nestlab vm look printed %.200q: %w", text, err)
	}
	return s, nil
}
