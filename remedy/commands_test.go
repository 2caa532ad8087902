package remedy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// The commands that are printed do exactly what the remedy does, and those of the
// way back leave the host as it was.
func TestCommandsDoTheSame(t *testing.T) {
	nestlabInPath(t)
	each(t, func(t *testing.T, c testCase) {
		h, before := c.prepare(t)
		untouched := ruleset(t)
		require.NoError(t, h.Apply(t.Context(), c.remedy()))
		want, rules := shown(before, snapshot(t)), ruleset(t)
		require.NoError(t, h.Revert(t.Context(), c.remedy()))
		commands, undo, err := h.Commands(t.Context(), c.remedy())
		require.NoError(t, err)
		same(t, h, before, "printing changes nothing")
		if slices.ContainsFunc(commands, notRun) || strings.Contains(c.before, "nodev") {
			return
		}
		shell(t, commands)
		require.Equal(t, want, shown(before, snapshot(t)))
		require.Equal(t, rules, ruleset(t))
		require.NotRegexp(t, `\b(OLD|PID|ADDRESS)\b`, append(commands, undo...), "nothing is left to be filled in")
		shell(t, undo)
		var left []string // a server that was ended takes a while on a busy machine
		await.True(t, func() bool {
			left = slices.DeleteFunc(shown(before, snapshot(t)), func(l string) bool {
				return strings.Contains(l, "/var/lib/dpkg/alternatives") // rewritten; where the links lead is looked at
			})
			return len(left) == 0
		}, "the way back leaves %v", &left)
		require.Equal(t, untouched, ruleset(t))
	})
}

// notRun are commands that not every machine has, that have more to say than the
// remedy, or the second of which is for those who have read it.
func notRun(command string) bool {
	return slices.ContainsFunc([]string{"jq", "install", "update-ca-certificates", "sysctl -w net.", "lxc"}, func(program string) bool {
		return strings.HasPrefix(command, program)
	})
}

// shell runs commands as they were printed, but for those to the daemon. A server is
// waited for until it listens, as a reader's next command comes later.
func shell(t *testing.T, commands []string) {
	t.Helper()
	for _, command := range commands {
		switch server, background := strings.CutSuffix(command, " &"); {
		case strings.HasPrefix(command, "systemctl"):
		case background:
			said := filepath.Join(t.TempDir(), "said")
			run(t, "sh", "-c", server+" > "+said+" 2>&1 &")
			await.True(t, func() bool {
				text, err := os.ReadFile(said)
				return err == nil && string(text) == "serving\n"
			}, "%s", command)
		default:
			run(t, "sh", "-c", command)
		}
	}
}

// nestlabInPath lets commands find this binary, which serves as nestlab does.
func nestlabInPath(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "nestlab")))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// ruleset is how nft shows the rules, less the mark of nestlab's own.
func ruleset(t *testing.T) string {
	t.Helper()
	text := strings.NewReplacer(` comment "nestlab"`, "", ` xt match "comment"`, "").Replace(run(t, "nft", "list", "ruleset"))
	return strings.ReplaceAll(text, "  ", " ")
}

// shown is what differs but for the times of files, and for the rules' bytes:
// programs encode the same rule in different ways.
func shown(before, after []string) []string {
	var out []string
	for _, l := range hostsnapshot.Diff(before, after) {
		switch {
		case strings.Contains(l, fmt.Sprintf("nftables %d ", unix.NFT_MSG_GETRULE)):
		case strings.Contains(l, "/var/lib/dpkg/alternatives"):
			out = append(out, strings.Join(strings.Fields(l)[:4], " "))
		case strings.Contains(l, " process "): // however it was called, and told to begin
			_, args, _ := strings.Cut(l, " remedy serve ")
			out = append(out, "process "+strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(args), "--wait")))
		default:
			out = append(out, strings.ReplaceAll(l, "-m comment --comment nestlab ", ""))
		}
	}
	return out
}
