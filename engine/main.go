// Command engine brings up a Dagger engine where there is none: without Docker,
// without a container registry, with nothing of the host's network changed.
//
//	go run . up       use the engine that is there, or build and start our own
//	go run . env      the lines that set up a shell: eval "$(go run . env)"
//	go run . status   what runs, which version, where it lies, what it takes
//	go run . down     stop our engine and take away what it left
//	go run . clean    down, and remove everything that was built
//
// Everything lies in the user's cache directory under nestlab/engine;
// NESTLAB_CACHE names another directory in the place of nestlab.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// daggerVersion is the release of engine, CLI and SDK that is built. It is the
// version that go.mod requires; a test keeps the two together.
const daggerVersion = "v0.19.7"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "engine: "+err.Error())
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "engine",
		Short:         "Bring up a Dagger engine where there is none",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		verb("up", "Use the engine that is there, or build and start our own", up),
		verb("env", "Print the lines that set up a shell for the engine", printEnv),
		verb("status", "Say what runs, which version, where it lies and what it takes", printStatus),
		verb("down", "Stop our engine and take away what it left", down),
		verb("clean", "Stop our engine and remove everything that was built", clean),
	)
	for _, c := range []*cobra.Command{
		verb("supervise", "Run mirror, uplink and engine (started by up)", supervise),
		{Use: "init", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return engineInit() }},
		{Use: "in-overlay LOWER UPPER [MOUNT...] -- COMMAND...", Args: cobra.MinimumNArgs(3), RunE: inOverlay},
	} {
		c.Hidden = true
		root.AddCommand(c)
	}
	return root
}

// verb makes a command of a function that works on the cache.
func verb(use, short string, do func(context.Context, cache) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := openCache(os.LookupEnv)
			if err != nil {
				return err
			}
			return do(cmd.Context(), c)
		}}
}
