package remedy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/google/nftables"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// nftName is what nft and a shell take as a name; the kernel takes more.
var nftName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9/_.-]*$`)

// nftChain is a chain as nft's commands name it: family, table, chain.
func nftChain(family nftables.TableFamily, table, chain string) (string, error) {
	kind := ""
	for name, number := range familyNumbers {
		if number == family {
			kind = string(name)
		}
	}
	if kind == "" || !nftName.MatchString(table) || !nftName.MatchString(chain) {
		return "", fmt.Errorf("nft has no name for the chain %q of the table %q", chain, table)
	}
	return kind + " " + table + " " + chain, nil
}

// nftText is a rule as nft writes it, less its handle: what nft reads again.
func nftText(ctx context.Context, chain string, handle uint64) (string, error) {
	listing, err := nft(ctx, append([]string{"-a", "list", "chain"}, strings.Fields(chain)...)...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(listing) {
		text, found := strings.CutSuffix(strings.TrimSpace(line), fmt.Sprintf(" # handle %d", handle))
		switch {
		case !found:
		case strings.Contains(text, ";"): // nft does not mark a quote within quotes, and after ; there is another command
			return "", fmt.Errorf("the rule %q cannot be told from more than one command", text)
		default:
			return text, nil
		}
	}
	return "", fmt.Errorf("nft lists no rule with handle %d in the chain %s", handle, chain)
}

// nftChecks has nft and the kernel look at a command without carrying it out.
func nftChecks(ctx context.Context, command string) error {
	_, err := nft(ctx, "--check", command)
	return err
}

// nft runs the machine's own nft: the commands are for that one.
func nft(ctx context.Context, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nft", words...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("run nft %s: %w", strings.Join(words, " "), err)
	}
	return string(out), nil
}

// commands insert the rule with its comment, by which the way back finds it.
func (i *inserted) commands(ctx context.Context) (change, back []string, err error) {
	chain, err := nftChain(i.Family, i.Table, i.Chain)
	if err != nil {
		return nil, nil, err
	}
	comment := fmt.Sprintf("comment %q", i.Comment)
	at := "insert rule " + chain
	switch {
	case i.last:
		at = "add rule " + chain
	case i.before != 0:
		at = fmt.Sprintf("insert rule %s handle %d", chain, i.before)
	}
	insert := fmt.Sprintf("%s %s %s", at, i.text, comment)
	if err := nftChecks(ctx, insert); err != nil {
		return nil, nil, err
	}
	return []string{shellLine("nft", insert)}, []string{fmt.Sprintf(`nft delete rule %s handle "$(nft -a list chain %s | awk %s)"`,
		chain, chain, catalogue.Quote("/"+comment+"/ { print $NF }"))}, nil
}

// commands name the rule by its handle. On the way back it is what nft writes for
// it now, beside the neighbour that it has now.
func (r *removedNF) commands(ctx context.Context) (change, back []string, err error) {
	chain, err := nftChain(r.Family, r.Table, r.Chain)
	if err != nil {
		return nil, nil, err
	}
	where := "insert rule " + chain
	switch {
	case r.Previous != 0:
		where = fmt.Sprintf("add rule %s handle %d", chain, r.Previous)
	case r.Next != 0:
		where = fmt.Sprintf("insert rule %s handle %d", chain, r.Next)
	}
	change = []string{fmt.Sprintf("nft delete rule %s handle %d", chain, r.Handle)}
	text, err := nftText(ctx, chain, r.Handle)
	if err == nil {
		err = nftChecks(ctx, where+" "+text)
	}
	if err != nil {
		note := fmt.Sprintf("nft -a list chain %s  # note the rule with the handle %d, for the way back", chain, r.Handle)
		return append([]string{note}, change...), []string{"nft " + where + " RULE"}, fmt.Errorf("write down the rule for the way back: %w", err)
	}
	return change, []string{shellLine("nft", where+" "+text)}, nil
}
