package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// remedied runs nestlab remedy with a journal of its own.
func remedied(t *testing.T, journal string, args ...string) (string, error) {
	t.Helper()
	cmd := newRemedyCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--journal", journal))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestRemedyList(t *testing.T) {
	t.Parallel()
	out, err := remedied(t, "/nowhere", "list")
	require.NoError(t, err)
	at := 0
	for _, r := range catalogue.All() {
		next := strings.Index("\n"+out[at:], "\n"+r.Name+" ")
		require.GreaterOrEqual(t, next, 0, "%s, the narrowest first", r.Name)
		at += next
	}
	require.Contains(t, strings.Join(strings.Fields(out), " "), "Not persistent across reboots.")
	for line := range strings.Lines(out) {
		require.True(t, len(line) <= 81 || !strings.HasPrefix(line, "  "), line)
	}
}

func TestRemedyAppliesAndReverts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	journal, file := filepath.Join(dir, "journal"), filepath.Join(dir, "daemon.json")

	out, err := remedied(t, journal, "apply", "docker-mtu", "mtu=1400", "file="+file, "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "jq --argjson v 1400 '.mtu = $v' "+file)
	require.Contains(t, out, "# nestlab could apply it here; nothing was changed")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "not even a lock")

	out, err = remedied(t, journal, "status")
	require.NoError(t, err)
	require.Equal(t, "no remedy is applied\n", out)

	out, err = remedied(t, journal, "apply", "docker-mtu", "mtu=1400", "file="+file)
	require.NoError(t, err)
	require.Contains(t, out, "applied: docker-mtu file="+file+" mtu=1400\nleft to you: restart dockerd: systemctl restart docker\n")
	require.FileExists(t, file)

	out, err = remedied(t, journal, "status")
	require.NoError(t, err)
	require.Regexp(t, `^docker-mtu file=.* mtu=1400  since .*Z  in place\n$`, out)
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
	out, err = remedied(t, journal, "status")
	require.NoError(t, err)
	require.Contains(t, out, "0 of 1 changes in place, missing: file "+file)
	require.NoError(t, os.Remove(file))

	for i, want := range []string{"reverted: docker-mtu file=" + file + " mtu=1400\nleft to you: restart dockerd: systemctl restart docker\n", "nothing to revert\n"} {
		args := []string{"revert", "docker-mtu"}
		out, err = remedied(t, journal, args[:2-i]...)
		require.NoError(t, err)
		require.Equal(t, want, out)
	}
	require.NoFileExists(t, file)
}

// A dry run names the rules that are there, and capitals where nobody can know.
func TestRemedyPrintsTheRulesOfThisHost(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	journal := filepath.Join(t.TempDir(), "journal")
	nft := func(command string) {
		out, err := exec.Command("nft", command).CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
	}
	nft("add table inet site; add chain inet site forward { type filter hook forward priority 0; }")
	nft(`add rule inet site forward iifname "lxdbr0" drop comment "no guests"`)
	out, err := remedied(t, journal, "apply", "firewall-forward-accept", "bridge=lxdbr0", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "\nnft delete rule inet site forward handle 2\n# back:\n"+
		`nft 'insert rule inet site forward iifname "lxdbr0" drop comment "no guests"'`+"\n# nestlab could apply it here; nothing was changed\n")

	nft(`flush chain inet site forward; add rule inet site forward iifname "lxdbr0" drop comment "a; b"`)
	out, err = remedied(t, journal, "apply", "firewall-forward-accept", "bridge=lxdbr0", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "\nnft insert rule inet site forward RULE\n# what stands in capitals is yours to fill in: ")

	nft("flush ruleset")
	out, err = remedied(t, journal, "apply", "firewall-forward-accept", "bridge=lxdbr0", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "nft delete rule FAMILY TABLE CHAIN handle HANDLE\n")
	require.Contains(t, out, "# not here and now: ")
}

func TestRemedyExitCodes(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	for _, test := range []struct {
		code    int
		journal string
		args    []string
		says    string
	}{
		{exitUsage, journal, []string{"apply", "nonsense"}, "unknown remedy"},
		{exitUsage, journal, []string{"apply", "docker-user-accept"}, "needs bridge=lxdbr0"},
		{exitUsage, journal, []string{"apply", "docker-user-accept", "lxdbr0"}, "no KEY=VALUE"},
		{exitUsage, journal, []string{"apply", "docker-mtu", "mtu=1400", "mtu=1500"}, "given twice"},
		{exitUsage, journal, []string{"revert", "nonsense"}, "unknown remedy"},
		{exitBad, journal, []string{"apply", "lxd-before-docker"}, "done by hand"},
		{exitBad, journal, []string{"apply", "docker-mtu", "mtu=1400", "file=/no/such/daemon.json"}, "make it with mkdir"},
		{exitUnobserved, broken, []string{"status"}, "is broken"},
		{exitUnobserved, broken, []string{"revert"}, "is broken"},
	} {
		_, err := remedied(t, test.journal, test.args...)
		require.ErrorContains(t, err, test.says, "%v", test.args)
		require.Equal(t, test.code, exitCode(err), "%v: %v", test.args, err)
	}
	out, err := remedied(t, journal, "apply", "docker-mtu", "mtu=1400", "file=/no/such/daemon.json", "--dry-run")
	require.NoError(t, err, "the commands may be for another machine")
	require.Contains(t, out, "# not here and now: the remedy docker-mtu: ")
}

// docs/remedies.md holds the catalogue: nestlab remedy list --markdown.
func TestRemediesAreDocumented(t *testing.T) {
	t.Parallel()
	out, err := remedied(t, "/nowhere", "list", "--markdown")
	require.NoError(t, err)
	doc, err := os.ReadFile("../../docs/remedies.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(doc), "<!-- catalogue: nestlab remedy list --markdown -->\n")
	require.True(t, found)
	text, _, found := strings.Cut(after, "<!-- end of the catalogue -->")
	require.True(t, found)
	require.Equal(t, strings.TrimSpace(out), strings.TrimSpace(text), "docs/remedies.md is old: put the output of nestlab remedy list --markdown between its marks")
}
