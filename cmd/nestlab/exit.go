package main

import "errors"

// The exit codes.
const (
	exitBad        = 1 // the verdict is bad, or something failed
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
