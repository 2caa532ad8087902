// Command nestlab is the one static binary that runs on the runner, in
// containers, in Docker-in-Docker and in virtual machines, so that a difference
// between two places is never a difference between two tools.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/world"
)

// version is that of nestlab; the linker may set another.
var version = "0.1.0"

// errorFile names the variable with a file for the error that ends this program:
// a caller that gets files only, such as the module, learns it from there.
const errorFile = "NESTLAB_ERROR_FILE"

// The first thread stays with main: what it sees /proc/self shows, and some code leaves
// threads behind in other namespaces.
func init() { runtime.LockOSThread() }

func main() {
	// dockerd knows an OCI runtime by its path alone: the shim is this binary under another name.
	if filepath.Base(os.Args[0]) == world.RuntimeShimName {
		os.Exit(world.RuntimeShimMain(os.Args[1:]))
	}
	ctx, stop := interruptible()
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		// It may have words of a guest.
		text := report.Lines(err.Error())
		fmt.Fprintln(os.Stderr, "nestlab:", text)
		if path := os.Getenv(errorFile); path != "" {
			if failed := os.WriteFile(path, []byte(text+"\n"), 0o644); failed != nil {
				fmt.Fprintln(os.Stderr, "nestlab: keep this error:", failed)
			}
		}
		os.Exit(interruptedCode(ctx, err))
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "nestlab",
		Short: "Tells what works inside the environments nested in a CI runner, and proves why the rest does not",
		Long: `nestlab runs one probe suite in a CI runner and in the environments nested in it
(Docker-in-Docker, LXD, QEMU), puts the results side by side, names the cause of
what fails and proves it by changing just that one thing and changing it back.

Exit codes: 0 done, 1 the check or something else failed, 2 wrong use, 3 could
not be read or observed, 130 and 143 interrupted by SIGINT and SIGTERM: what was
begun is reverted first, and what was observed is kept.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	// Inherited by every command that has none of its own.
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.AddCommand(
		newProbeCommand(), newFactsCommand(), newReportCommand(), newWorldCommand(),
		newDoctorCommand(), newDindCommand(), newVMCommand(), newSimulateCommand(), newAccuracyCommand(), newEnterCommand(), newHelloCommand(),
		newRemedyCommand(), newOnHostCommand(), newVersionCommand(),
	)
	strict(root)
	fitHelp(root)
	return root
}

// newVersionCommand is what people type who do not know of --version.
func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nestlab version", version)
			return err
		},
	}
}

// newHelloCommand is what the simulated registry's smallest image runs.
func newHelloCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "hello",
		Short:  "Print a greeting: the command of the simulated registry's image",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "hello from nestlab")
			return err
		},
	}
}
