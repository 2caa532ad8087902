package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/cenkalti/backoff/v5"

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
	// Name is the instance's, Image an alias, Network the bridge of its NIC,
	// Pool the storage pool of its root.
	Name, Image, Network, Pool string
	// Binary is the path of the one binary on this machine.
	Binary string
	// Ready bounds the wait for an address and a resolver.
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
	op, err := i.server.CreateInstance(api.InstancesPost{
		Name: i.Name, Type: api.InstanceTypeContainer,
		Source: api.InstanceSource{Type: "image", Alias: i.Image},
		InstancePut: api.InstancePut{
			Config:   map[string]string{marker: i.At.Key()},
			Profiles: []string{},
			Devices: map[string]map[string]string{
				"root": {"type": "disk", "path": "/", "pool": i.Pool},
				"eth0": {"type": "nic", "name": "eth0", "network": i.Network},
			},
		},
	})
	if err := wait(ctx, op, err); err != nil {
		return fmt.Errorf("make the LXD instance %s from image %s: %w", i.Name, i.Image, err)
	}
	i.made = true
	// LXD 5.0 ignores InstancesPost.Start.
	op, err = i.server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "start", Timeout: 30}, "")
	if err := wait(ctx, op, err); err != nil {
		return fmt.Errorf("start the LXD instance %s: %w", i.Name, err)
	}
	if err := i.push(); err != nil {
		return err
	}
	if err := i.waitReady(ctx); err != nil {
		return err
	}
	took(model.StepStart, begin, time.Since(begin), "")
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

// waitReady polls the state that LXD reports until the instance has an address.
// Without one it is still an environment: that it has none is what is observed.
func (i *Instance) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, i.Ready)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		state, _, err := i.server.GetInstanceState(i.Name)
		if err != nil {
			return struct{}{}, backoff.Permanent(fmt.Errorf("ask for the state of %s: %w", i.Name, err))
		}
		for _, a := range state.Network["eth0"].Addresses {
			if a.Family == "inet" && a.Scope == "global" {
				return struct{}{}, nil
			}
		}
		return struct{}{}, errNoAddress
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(i.Ready))
	if errors.Is(err, errNoAddress) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

var errNoAddress = errors.New("no IPv4 address yet")

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
