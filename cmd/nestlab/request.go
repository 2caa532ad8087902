package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/spec"
)

// requestFlags gives a command the flags of a request, or a file with the request in
// their place. The function that it returns reads the request and validates it.
func requestFlags[T spec.Request](cmd *cobra.Command, request *T, bind func(*pflag.FlagSet, *T)) func(cmd *cobra.Command) error {
	own := pflag.NewFlagSet("request", pflag.ContinueOnError)
	bind(own, request)
	cmd.Flags().AddFlagSet(own)
	file := cmd.Flags().String("spec", "", "file with the request, or - for standard input, in place of the flags that make it one")
	hide(cmd.Flags(), "spec")
	return func(cmd *cobra.Command) (err error) {
		if !cmd.Flags().Changed("spec") {
			return usageError((*request).Validate())
		}
		var given []string
		own.VisitAll(func(f *pflag.Flag) {
			if f.Changed {
				given = append(given, "--"+f.Name)
			}
		})
		if len(given) > 0 {
			return usageError(fmt.Errorf("--spec has the whole request: leave out %s", strings.Join(given, ", ")))
		}
		*request, err = readRequest[T](cmd.InOrStdin(), *file)
		return usageError(err)
	}
}

func readRequest[T spec.Request](stdin io.Reader, file string) (request T, err error) {
	if file == "-" {
		return spec.Decode[T](stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return request, fmt.Errorf("open the request: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return spec.Decode[T](f)
}

// word is a flag whose value is a word of a closed set, or text where the set is checked
// elsewhere.
type word[T ~string] struct{ to *T }

func (w word[T]) String() string {
	if w.to == nil {
		return ""
	}
	return string(*w.to)
}
func (w word[T]) Set(s string) error { *w.to = T(s); return nil }
func (word[T]) Type() string         { return "string" }

// wordVar adds a flag of a closed set, with the set after what it is for.
func wordVar[T interface {
	~string
	Values() []T
}](f *pflag.FlagSet, to *T, name, about string) {
	f.Var(word[T]{to}, name, about+": "+spec.List((*to).Values()))
}

// alias keeps the old name of a flag, out of the help.
func alias(f *pflag.FlagSet, old, name string) {
	flag := *f.Lookup(name)
	flag.Name, flag.Shorthand, flag.Hidden = old, "", true
	f.AddFlag(&flag)
}

// hide leaves flags that nestlab gives itself out of the help.
func hide(f *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := f.MarkHidden(name); err != nil {
			panic(err)
		}
	}
}

// progressTo has what a command says on standard error go to a file or device, where
// one is named.
func progressTo(cmd *cobra.Command, path string) (closed func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open what takes the progress: %w", err)
	}
	cmd.SetErr(f)
	return func() { f.Close() }, nil
}
