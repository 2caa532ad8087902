package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/unit"
)

// newRemedyKeepCommand is what the service of persistent remedies runs.
func newRemedyKeepCommand(host *remedy.Host) *cobra.Command {
	return &cobra.Command{
		Use: "keep", Short: "Apply the persistent remedies, again whenever they are undone, until it ends", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return unit.Keep(cmd.Context(), *host, cmd.ErrOrStderr()) },
	}
}

// mayPersist says before anything is changed why remedies cannot be made persistent. A dry
// run shows by what they would be.
func mayPersist(cmd *cobra.Command, host *remedy.Host, dryRun bool) error {
	if host.Journal != remedy.DefaultJournal {
		return usageError(fmt.Errorf("--persist goes with the journal %s alone: the service reads that", remedy.DefaultJournal))
	}
	if dryRun {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "# %s, which has the remedy applied again:\n%s", unit.Path, unit.Text); err != nil {
			return err
		}
	}
	return withCode(exitUnobserved, unit.Check())
}

// makePersistent has applied remedies last.
func makePersistent(ctx context.Context, out io.Writer, host remedy.Host, remedies ...model.Remedy) error {
	lasting, err := unit.Install(ctx, host, remedies...)
	if err != nil {
		return withCode(exitUnobserved, fmt.Errorf("%w; what was applied stays applied until the firewall or the machine restarts", err))
	}
	for _, r := range remedies {
		by := unit.Name + " applies it again when something has undone it, and at boot"
		if slices.ContainsFunc(lasting, r.Equal) {
			by = "what it changes is in files"
		}
		if _, err := fmt.Fprintf(out, "persistent: %s: %s\n", remedy.Text(r), by); err != nil {
			return err
		}
	}
	return nil
}

// persistent lists the remedies that are applied again, of the journal that the service has.
func persistent(host remedy.Host) ([]model.Remedy, error) {
	if host.Journal != remedy.DefaultJournal {
		return nil, nil
	}
	return remedy.Persisted(remedy.Persistent)
}

// release has the remedies of these names not last any more, all where there is no name,
// and lists them. What is applied of them still is to be reverted.
func release(ctx context.Context, host remedy.Host, names []string) ([]model.Remedy, error) {
	all, err := persistent(host)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r model.Remedy) bool { return len(names) > 0 && !slices.Contains(names, r.Name) })
	if len(all) == 0 {
		return nil, nil
	}
	return all, unit.Release(ctx, all...)
}
