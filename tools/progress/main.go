// Command progress runs a Dagger call and shows of its plain progress one line for each
// step that took its time, with the time since the start. In a terminal it leaves Dagger's
// own display alone.
//
//	progress --log out/progress.log -- dagger call simulate table
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
	}
	os.Exit(code)
}

// run runs the command of args and returns the code to exit with.
func run(ctx context.Context, args []string, stdout, stderr *os.File) (code int, err error) {
	flags := flag.NewFlagSet("progress", flag.ContinueOnError)
	path := flags.String("log", "out/progress.log", "file for the whole progress")
	if err := flags.Parse(args); err != nil {
		return 2, nil // the flag set has said why
	}
	if flags.NArg() == 0 {
		return 2, errors.New("name the command to run, such as: progress -- dagger call plan")
	}
	cmd := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // Dagger ends its session then
	if term.IsTerminal(int(stderr.Fd())) {
		return exitCode(cmd.Run())
	}
	return runFiltered(cmd, *path, stderr)
}

// runFiltered runs a command, its whole progress to a file and the steps to out.
func runFiltered(cmd *exec.Cmd, path string, out io.Writer) (code int, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 1, fmt.Errorf("make the folder of the log: %w", err)
	}
	log, err := os.Create(path)
	if err != nil {
		return 1, fmt.Errorf("make the log: %w; name another with --log", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	steps := newFilter(out, time.Now)
	cmd.Env = append(cmd.Environ(), "DAGGER_PROGRESS=plain", "NO_COLOR=1")
	cmd.Stderr = io.MultiWriter(log, steps)
	code, err = exitCode(cmd.Run())
	if code != 0 {
		steps.writeTail()
		fmt.Fprintf(out, "The whole progress is in %s\n", path)
	}
	return code, err
}

// exitCode splits how a command ended into its code and an error of running it.
func exitCode(err error) (int, error) {
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &ended) && ended.Exited():
		return ended.ExitCode(), nil
	default:
		return 1, fmt.Errorf("run the command: %w", err)
	}
}
