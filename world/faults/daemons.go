package faults

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/world"
)

// daemons are the faults of the runner's daemons.
func daemons() []Fault {
	docker := append([]string{model.EnvRunner}, containers()...)
	return []Fault{
		{
			Name: "dockerd-storage-driver", About: "dockerd stores images with vfs, which copies whole file systems",
			Affects: docker, Settings: &Settings{Docker: map[string]any{"storage-driver": "vfs"}},
		},
		{
			Name: "dockerd-iptables-backend", About: "dockerd writes no iptables rules: its containers are not masqueraded",
			Affects: containers(), Settings: &Settings{Docker: map[string]any{"iptables": false}},
		},
		{
			Name: "subnet-overlap", About: "LXD's bridge has the network of the internet's servers",
			Affects: instances(), Settings: &Settings{Subnet: "198.51.100.254/24"},
		},
		{
			Name: "disk-full", About: "the file system of Docker's data has room for 16 MB",
			Affects: docker, BeforeDaemons: true, Break: breakDisk,
		},
	}
}

// breakDisk lays a small file system over dockerd's. It cannot go while dockerd
// runs, and goes with the runner.
func breakDisk(ctx context.Context, lab Lab) (Mend, error) {
	var said bytes.Buffer
	code, err := lab.Exec(ctx, []string{"mount", "-t", "tmpfs", "-o", "size=16m", "data", "/var/lib/docker"}, world.Stdio{Out: &said, Err: &said})
	if err == nil && code != 0 {
		err = fmt.Errorf("mount ended with %d: %s", code, bytes.TrimSpace(said.Bytes()))
	}
	if err != nil {
		return nil, fmt.Errorf("lay a small file system over /var/lib/docker: %w", err)
	}
	return func(context.Context) error { return nil }, nil
}
