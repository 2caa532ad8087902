package dind

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// RunOnce pulls an image unless it is there, runs it to its end and removes the
// container; an exit code other than 0 is an error.
func RunOnce(ctx context.Context, api *client.Client, ref string) (err error) {
	if err := pull(ctx, api, ref); err != nil {
		return err
	}
	made, err := api.ContainerCreate(ctx, &container.Config{Image: ref}, nil, nil, nil, "")
	if err != nil {
		return fmt.Errorf("make a container from %s: %w", ref, err)
	}
	defer func() {
		err = errors.Join(err, api.ContainerRemove(context.WithoutCancel(ctx), made.ID, container.RemoveOptions{Force: true}))
	}()
	// Waiting begins first, or a short-lived container could be missed.
	ended, failed := api.ContainerWait(ctx, made.ID, container.WaitConditionNextExit)
	if err := api.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return fmt.Errorf("start a container of %s: %w", ref, err)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("wait for a container of %s: %w", ref, err)
	case end := <-ended:
		if end.StatusCode != 0 {
			return fmt.Errorf("a container of %s ended with %d", ref, end.StatusCode)
		}
	}
	return nil
}
