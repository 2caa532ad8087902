package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// The exit codes.
const (
	exitBad        = 1 // the check failed, or something else did
	exitUsage      = 2 // wrong use
	exitUnobserved = 3 // what was asked about could not be read or observed
)

// exitError is an error with the code that the process ends with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// withCode gives an error its exit code; nil stays nil.
func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: code, err: err}
}

// signalBase is added to the number of the signal that ended a command early, as
// shells do: 130 after SIGINT, 143 after SIGTERM.
const signalBase = 128

// usageError is an error of exitUsage.
func usageError(err error) error { return withCode(exitUsage, err) }

// exitCode is what the process ends with after err: the code that it carries, or
// exitBad.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var coded *exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitBad
}

// interrupted is why a context ended: a signal.
type interrupted struct{ syscall.Signal }

func (i interrupted) Error() string { return "interrupted by " + unix.SignalName(i.Signal) }

// Is makes an interruption what it is for everybody else, a canceled context.
func (interrupted) Is(target error) bool { return target == context.Canceled }

// interruptible is a context that SIGINT and SIGTERM end. What was begun is taken
// back then, and further signals do not cut that short.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if s, ok := (<-signals).(syscall.Signal); ok {
			cancel(interrupted{s})
		}
	}()
	return ctx, func() { signal.Stop(signals) }
}

// interruptedCode is the exit code of a command that failed, which is the
// signal's where one ended it.
func interruptedCode(ctx context.Context, err error) int {
	var by interrupted
	if errors.As(context.Cause(ctx), &by) {
		return signalBase + int(by.Signal)
	}
	return exitCode(err)
}
