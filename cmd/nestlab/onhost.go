package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/dind"
)

// newOnHostCommand runs nestlab on the machine of a Docker daemon: it is for the module, which
// has no more of that machine than the daemon's socket.
func newOnHostCommand() *cobra.Command {
	var socket, out, targets string
	cmd := &cobra.Command{
		Use:    "on-host --docker SOCKET -- COMMAND [ARG...]",
		Short:  "Run nestlab on the machine of a Docker daemon, with that machine's namespaces",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h := dind.OnHost{Host: daemonAt(socket), Args: args, Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
			if targets == "" {
				return onHost(cmd, h, out)
			}
			set, err := loadTargets(targets)
			if err != nil {
				return usageError(err)
			}
			if h.Input, err = set.Encode(); err != nil {
				return fmt.Errorf("pass the targets on: %w", err)
			}
			h.Args = append(args, "--targets", "-")
			return onHost(cmd, h, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&socket, "docker", "", "socket of the Docker daemon, or its address as in DOCKER_HOST")
	f.StringVar(&out, "out", "", "file for what is written to standard output")
	f.StringVar(&targets, "targets", "", "targets for the command")
	cmd.AddCommand(newHoldCommand(), newEnterHostCommand())
	return cmd
}

// daemonAt is the address of a daemon that is given by its socket.
func daemonAt(socket string) string {
	if strings.HasPrefix(socket, "/") {
		return "unix://" + socket
	}
	return socket
}

// onHost runs it, keeps what it says, and ends with its exit code.
func onHost(cmd *cobra.Command, h dind.OnHost, out string) (err error) {
	var last bytes.Buffer
	h.Stderr = io.MultiWriter(h.Stderr, &last)
	if out != "" {
		f, failed := os.Create(out)
		if failed != nil {
			return fmt.Errorf("keep what is observed: %w", failed)
		}
		defer func() {
			info, failed := f.Stat()
			if err = errors.Join(err, failed, f.Close()); failed == nil && info.Size() == 0 {
				err = errors.Join(err, os.Remove(f.Name())) // nothing was observed
			}
		}()
		h.Stdout = f
	}
	code, err := h.Run(cmd.Context())
	if err != nil {
		return withCode(exitUnobserved, err)
	}
	if code != 0 {
		lines := strings.Split(strings.TrimSpace(last.String()), "\n")
		err = withCode(code, fmt.Errorf("on the host: %s", strings.TrimPrefix(lines[len(lines)-1], "nestlab: ")))
	}
	return err
}

// newHoldCommand is what begins in the container.
func newHoldCommand() *cobra.Command {
	var input int64
	cmd := &cobra.Command{
		Use: "hold -- COMMAND [ARG...]", Short: "Run `on-host enter`, and end it where standard input ends after its input", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			child := exec.Command("/proc/self/exe", append([]string{"on-host", "enter", "--"}, args...)...)
			child.Stdout, child.Stderr = os.Stdout, os.Stderr
			child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
			in, err := child.StdinPipe()
			if err == nil {
				err = child.Start()
			}
			if err != nil {
				return withCode(exitUnobserved, fmt.Errorf("run nestlab on the host: %w", err))
			}
			end := func() { _ = child.Process.Signal(syscall.SIGTERM) } // it may have ended
			defer context.AfterFunc(cmd.Context(), end)()
			go func() {
				_, _ = io.CopyN(in, os.Stdin, input) // who does not read to the end needs no more
				_ = in.Close()
				_, _ = io.Copy(io.Discard, os.Stdin)
				end()
			}()
			if err := child.Wait(); child.ProcessState == nil {
				return withCode(exitUnobserved, fmt.Errorf("wait for nestlab on the host: %w", err))
			}
			os.Exit(child.ProcessState.ExitCode()) // it has said why
			return nil
		},
	}
	cmd.Flags().Int64Var(&input, "input", 0, "so many bytes of standard input are the command's")
	return cmd
}

// newEnterHostCommand is what goes on in the host's files.
func newEnterHostCommand() *cobra.Command {
	return &cobra.Command{
		Use: "enter -- COMMAND [ARG...]", Short: "See the files of this machine's first process, then run nestlab", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := dind.EnterHost(); err != nil {
				return withCode(exitUnobserved, err)
			}
			if err := syscall.Exec("/proc/self/exe", append([]string{"nestlab"}, args...), os.Environ()); err != nil {
				return fmt.Errorf("run nestlab on the host: %w", err)
			}
			return nil
		},
	}
}
