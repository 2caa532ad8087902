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
)

// nftName is what nft and a shell take as a name; the kernel takes more.
var nftName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9/_.-]*$`)

// nftChain is a chain as nft's commands name it: family, table, chain.
func nftChain(family nftables.TableFamily, table, chain string) (string, error) {
	kind := familyName(family)
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
