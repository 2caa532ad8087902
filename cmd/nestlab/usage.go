package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// strict makes wrong use of a command and of all below it end with exitUsage: an
// unknown subcommand, which cobra would answer with the help and success, and
// arguments that do not fit.
func strict(cmd *cobra.Command) {
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args, cmd.RunE = cobra.ArbitraryArgs, group
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return usageError(check(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// addFit makes fit known to the templates, which are cobra's and of all commands.
var addFit = sync.OnceFunc(func() {
	cobra.AddTemplateFunc("fit", func(flags *pflag.FlagSet) string { return flags.FlagUsagesWrapped(widthOf(os.Stdout)) })
})

// fitHelp wraps the flags in the help of a command, and of all below it, to the terminal.
func fitHelp(root *cobra.Command) {
	addFit()
	usage := root.UsageTemplate()
	for _, kind := range []string{"LocalFlags", "InheritedFlags"} {
		usage = strings.ReplaceAll(usage, "{{."+kind+".FlagUsages ", "{{fit ."+kind+" ")
	}
	root.SetUsageTemplate(usage)
}

// widthOf returns the columns of the terminal that is written to, or 80.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return max(width, 40)
		}
	}
	return 80
}

// group is what a command does that only has others below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return usageError(fmt.Errorf("unknown command %q: %s has %s", args[0], cmd.CommandPath(), strings.Join(names, ", ")))
}
