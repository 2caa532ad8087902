package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func newRemedyCommand() *cobra.Command {
	var host remedy.Host
	cmd := &cobra.Command{
		Use:   "remedy",
		Short: "Reversible changes to this host that are meant to help: list, apply, revert, status",
		Long: `Each remedy is a small change with a way back. What it takes to undo it is in the
journal before the change is made, so that revert works after a crash too, and twice.

Changing the host needs root. apply --dry-run prints the commands instead.`,
		Args: cobra.NoArgs,
	}
	cmd.PersistentFlags().StringVar(&host.Journal, "journal", remedy.DefaultJournal, "file that says what is applied")
	cmd.AddCommand(newRemedyListCommand(), newRemedyApplyCommand(&host), newRemedyRevertCommand(&host),
		newRemedyStatusCommand(&host), newRemedyServeCommand(), newRemedyKeepCommand(&host))
	return cmd
}

func newRemedyListCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the remedies, the narrowest first, with what they need and cost",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := catalogue.Markdown()
			if !markdown {
				list = listText(widthOf(cmd.OutOrStdout()))
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(list, "\n"))
			return err
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as a Markdown table, with everything that is known")
	return cmd
}

// listText lists the remedies in so many columns.
func listText(width int) string {
	var b strings.Builder
	for _, r := range catalogue.All() {
		name := r.Name
		if len(r.Parameters) > 0 {
			name += " " + r.Usage()
		}
		name += " (" + r.Breadth.String()
		if r.ByHand {
			name += ", by hand"
		}
		fmt.Fprintln(&b, name+")")
		for _, line := range []string{r.About, "needs: " + r.Precondition, "costs: " + r.Cost} {
			for part := range strings.Lines(text.WrapSoft(line, width-2)) {
				fmt.Fprintln(&b, "  "+strings.TrimSpace(part))
			}
		}
	}
	return b.String()
}

// chosen reads NAME K=V... into a remedy with all its parameters.
func chosen(args []string) (catalogue.Remedy, model.Remedy, error) {
	known, err := catalogue.Find(args[0])
	if err != nil {
		return known, model.Remedy{}, usageError(err)
	}
	given := map[string]string{}
	for _, word := range args[1:] {
		key, value, found := strings.Cut(word, "=")
		if !found {
			return known, model.Remedy{}, usageError(fmt.Errorf("%q is no KEY=VALUE: %s takes %s", word, known.Name, known.Usage()))
		}
		if _, twice := given[key]; twice {
			return known, model.Remedy{}, usageError(fmt.Errorf("%s is given twice", key))
		}
		given[key] = value
	}
	full, err := known.Complete(given)
	if err != nil {
		return known, model.Remedy{}, usageError(err)
	}
	return known, catalogue.Named(known.Name, full), nil
}

func newRemedyApplyCommand(host *remedy.Host) *cobra.Command {
	var dryRun, persist bool
	cmd := &cobra.Command{
		Use:     "apply NAME [KEY=VALUE...]",
		Short:   "Apply a remedy",
		Example: "  sudo nestlab remedy apply docker-user-accept bridge=lxdbr0",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("name a remedy: nestlab remedy list shows them"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			known, r, err := chosen(args)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if dryRun || known.ByHand {
				if err := writeCommands(cmd, host, known, r, dryRun); err != nil {
					return err
				}
			}
			if persist {
				if err := mayPersist(cmd, host, dryRun); err != nil {
					return err
				}
			}
			if dryRun {
				return nil
			}
			if err := host.Apply(cmd.Context(), r); err != nil {
				return err
			}
			if _, err = fmt.Fprintf(out, "applied: %s\n%stake it back: nestlab remedy revert %s\n", remedy.Text(r), left(known.Then), known.Name); err != nil || !persist {
				return err
			}
			return makePersistent(cmd.Context(), out, *host, r)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the commands that do the same by hand, and change nothing; with --persist the unit too")
	cmd.Flags().BoolVar(&persist, "persist", false, "have a systemd service apply it again at boot, and when Docker or the firewall have undone it")
	return cmd
}

// left tells what nestlab does not do.
func left(then string) string {
	if then == "" {
		return ""
	}
	return "left to you: " + then + "\n"
}

// writeCommands prints what does the same by hand on this host, and if asked to
// whether the remedy could be applied here and now.
func writeCommands(cmd *cobra.Command, host *remedy.Host, known catalogue.Remedy, r model.Remedy, check bool) error {
	commands, undo, open := host.Commands(cmd.Context(), r)
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "# %s: %s\n%s\n# back:\n%s\n", remedy.Text(r), known.About,
		strings.Join(commands, "\n"), strings.Join(undo, "\n")); err != nil || !check {
		return err
	}
	says := "# nestlab could apply it here; nothing was changed"
	if err := host.Check(cmd.Context(), r); err != nil {
		says = "# not here and now: " + err.Error()
	} else if open != nil {
		says = "# what stands in capitals is yours to fill in: " + open.Error() + "\n" + says
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), says)
	return err
}

func newRemedyStatusCommand(host *remedy.Host) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say which remedies are applied, and whether their changes are still there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := host.Status(cmd.Context())
			lasting, failed := persistent(*host)
			if err := errors.Join(err, failed); err != nil {
				return withCode(exitUnobserved, err)
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "no remedy is applied")
				return err
			}
			for _, s := range all {
				state := "in place"
				if len(s.Missing) > 0 {
					state = fmt.Sprintf("%d of %d changes in place, missing: %s", s.InPlace, s.Steps, strings.Join(s.Missing, "; "))
				}
				if s.Owner != nil {
					state += "; for " + s.Owner.String()
				}
				if slices.ContainsFunc(lasting, s.Remedy.Equal) {
					state += "; persistent"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  since %s  %s\n", remedy.Text(s.Remedy), s.Since.Format("2006-01-02 15:04:05Z"), state); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// newRemedyServeCommand is what dns-forwarder and proxy-on-bridge run.
func newRemedyServeCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:    "serve dns|proxy ADDRESS:PORT [DNS-SERVER]",
		Short:  "Serve DNS or HTTP to guests, in the foreground",
		Hidden: true,
		Args:   cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := remedy.Server{Kind: args[0], Listen: args[1], Told: os.Stdout}
			if len(args) > 2 {
				s.Upstream = args[2]
			}
			if wait {
				s.Gate = cmd.InOrStdin()
			}
			return s.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "begin when standard input says so, end when it ends")
	return cmd
}
