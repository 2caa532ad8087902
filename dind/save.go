package dind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/docker/docker/api/types/image"
)

// Save writes an image of a daemon to a file, as docker save does. One that had to
// be pulled for that is removed again.
func Save(ctx context.Context, host, ref, path string) (err error) {
	api, err := Dial(host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Close()) }()
	if _, err := api.ImageInspect(ctx, ref); err != nil {
		if err := pull(ctx, api, ref); err != nil {
			return err
		}
		defer func() {
			_, gone := api.ImageRemove(context.WithoutCancel(ctx), ref, image.RemoveOptions{PruneChildren: true})
			err = errors.Join(err, gone)
		}()
	}
	stream, err := api.ImageSave(ctx, []string{ref})
	if err != nil {
		return fmt.Errorf("save %s: %w", ref, err)
	}
	defer stream.Close()
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save %s: %w", ref, err)
	}
	_, err = io.Copy(f, stream)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("save %s: %w", ref, err)
	}
	return nil
}
