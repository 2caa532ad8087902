package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// binaryPath is where the one binary stands in an instance.
const binaryPath = "/usr/local/bin/nestlab"

// marker is the configuration key by which a later start knows what is nestlab's.
const marker = "user.nestlab"

// Instance is an environment in an LXD instance.
type Instance struct {
	At   model.Place
	With []string
	// Connect reaches the server when the instance is to be started.
	Connect func(ctx context.Context) (Server, error)
	// Name is the instance's, Image an alias or a fingerprint, Network the bridge
	// of its NIC, Pool the storage pool of its root.
	Name, Image, Network, Pool string
	// ImageServer is the simplestreams server that has the image; empty where LXD has it.
	ImageServer string
	// VM asks for a virtual machine instead of a container.
	VM bool
	// Config are further configuration keys, such as limits.memory.
	Config map[string]string
	// Binary is the path of the one binary on this machine.
	Binary string
	// Ready bounds the wait until the instance takes files and commands.
	Ready time.Duration

	server Server
	made   bool
}

// Place implements session.Environment.
func (i *Instance) Place() model.Place { return i.At }

// Suites implements session.Environment.
func (i *Instance) Suites() []string { return i.With }

// Start implements session.Environment.
func (i *Instance) Start(ctx context.Context, took session.Took) error {
	begin := time.Now()
	var err error
	if i.server, err = i.Connect(ctx); err != nil {
		return err
	}
	if err := i.discard(ctx); err != nil {
		return err
	}
	// Before the request: an interrupted wait may leave an instance.
	i.made = true
	op, err := i.server.CreateInstance(i.request())
	if err := wait(ctx, op, err); err != nil {
		return fmt.Errorf("make the LXD instance %s from image %s: %w", i.Name, i.Image, err)
	}
	// LXD 5.0 ignores InstancesPost.Start.
	op, err = i.server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "start", Timeout: 30}, "")
	if err := wait(ctx, op, err); err != nil {
		return fmt.Errorf("start the LXD instance %s: %w", i.Name, err)
	}
	unmet, err := i.await(ctx)
	if err != nil {
		return fmt.Errorf("the LXD instance %s: %w", i.Name, err)
	}
	took(model.StepStart, begin, time.Since(begin), lacks(unmet))
	return nil
}

// Restart implements session.Restarter: the instance is stopped and started, and
// asks for its addresses anew.
func (i *Instance) Restart(ctx context.Context) error {
	for _, state := range []api.InstanceStatePut{{Action: "stop", Force: true, Timeout: 30}, {Action: "start", Timeout: 30}} {
		op, err := i.server.UpdateInstanceState(i.Name, state, "")
		if err := wait(ctx, op, err); err != nil {
			return fmt.Errorf("%s the LXD instance %s: %w", state.Action, i.Name, err)
		}
	}
	if _, err := i.await(ctx); err != nil {
		return fmt.Errorf("the LXD instance %s, started again: %w", i.Name, err)
	}
	return nil
}

// push copies the one binary in over the API, never over the network under test.
func (i *Instance) push() error {
	f, err := os.Open(i.Binary)
	if err != nil {
		return fmt.Errorf("read the binary for %s: %w", i.Name, err)
	}
	defer f.Close()
	err = i.server.CreateInstanceFile(i.Name, binaryPath, lxd.InstanceFileArgs{
		Content: f, Mode: 0o755, Type: "file", WriteMode: "overwrite",
	})
	if err != nil {
		return fmt.Errorf("push the binary into %s: %w", i.Name, err)
	}
	return nil
}

// await waits until the instance takes the binary, and looks around by it. A
// container takes it at once, a virtual machine when its agent is up.
func (i *Instance) await(ctx context.Context) ([]Unmet, error) {
	agent := Requirement{
		Description: "answer of the agent", Within: i.Ready, Fatal: true,
		Check: func(context.Context) error { return i.push() },
		Hint:  "a virtual machine's image must start lxd-agent; look at its console",
	}
	return Await(ctx, append([]Requirement{agent}, networked(i.look)...))
}

func (i *Instance) look(ctx context.Context) (s Sight, err error) {
	var out, log bytes.Buffer
	code, err := i.Exec(ctx, session.Command{Args: []string{"vm", "look"}, Stdout: &out, Stderr: &log})
	if err != nil {
		return s, err
	}
	if code != 0 {
		return s, fmt.Errorf("nestlab vm look ended with %d: %s", code, log.String())
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return s, fmt.Errorf("nestlab vm look printed %.200q: %w", out.String(), err)
	}
	return s, nil
}

// Exec implements session.Environment.
func (i *Instance) Exec(ctx context.Context, c session.Command) (int, error) {
	done := make(chan bool)
	op, err := i.server.ExecInstance(i.Name, api.InstanceExecPost{
		Command:     append([]string{binaryPath}, c.Args...),
		Environment: map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
		WaitForWS:   true,
	}, &lxd.InstanceExecArgs{Stdin: c.Stdin, Stdout: orDiscard(c.Stdout), Stderr: orDiscard(c.Stderr), DataDone: done})
	if err := wait(ctx, op, err); err != nil {
		return -1, fmt.Errorf("run nestlab in %s: %w", i.Name, err)
	}
	select {
	case <-done:
	case <-ctx.Done():
		return -1, fmt.Errorf("read what nestlab printed in %s: %w", i.Name, ctx.Err())
	}
	code, ok := op.Get().Metadata["return"].(float64)
	if !ok {
		return -1, fmt.Errorf("LXD does not say how nestlab ended in %s: %v", i.Name, op.Get().Metadata)
	}
	return int(code), nil
}

// Stop implements session.Environment.
func (i *Instance) Stop(ctx context.Context) error {
	if !i.made {
		return nil
	}
	return i.discard(ctx)
}

// discard removes the instance, also one of the same name that a killed run left.
func (i *Instance) discard(ctx context.Context) error {
	all, err := i.server.GetInstances(api.InstanceTypeAny)
	if err != nil {
		return fmt.Errorf("list the LXD instances: %w", err)
	}
	for _, found := range all {
		if found.Name != i.Name {
			continue
		}
		if found.Config[marker] == "" {
			return fmt.Errorf("the LXD instance %s is there and is not nestlab's: rename or remove it", i.Name)
		}
		if found.StatusCode != api.Stopped {
			op, err := i.server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "stop", Force: true, Timeout: 30}, "")
			if err := wait(ctx, op, err); err != nil {
				return fmt.Errorf("stop the LXD instance %s: %w", i.Name, err)
			}
		}
		op, err := i.server.DeleteInstance(i.Name)
		if err := wait(ctx, op, err); err != nil {
			return fmt.Errorf("remove the LXD instance %s: %w", i.Name, err)
		}
	}
	return nil
}

type writeCloser struct{ io.Writer }

func (writeCloser) Close() error { return nil }

func orDiscard(w io.Writer) io.WriteCloser {
	if w == nil {
		w = io.Discard
	}
	return writeCloser{w}
}
