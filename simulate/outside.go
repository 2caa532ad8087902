package simulate

import (
	"context"
	"io"
	"path/filepath"

	"github.com/nestlab/nestlab/world"
	"github.com/nestlab/nestlab/world/internet"
)

// Outside makes the world and runs Inside in it, by the same binary. It returns
// that process's exit code.
func Outside(ctx context.Context, c Config, stdout, stderr io.Writer) (int, error) {
	args, err := c.insideArgs()
	if err != nil {
		return -1, err
	}
	w := world.New(world.Config{
		State: c.State, AptRepository: filepath.Join(c.Assets, "apt"),
		Images: []internet.Image{{Reference: "library/debian:bookworm", Cmd: []string{"bash"}, Archive: filepath.Join(c.Assets, "base.tar")}},
	})
	return w.Run(ctx, args, world.Stdio{Out: stdout, Err: stderr})
}
