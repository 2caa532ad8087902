package remedy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
)

func mtu(file string) model.Remedy {
	return model.Remedy{Name: "docker-mtu", Parameters: map[string]string{"mtu": "1400", "file": file}}
}

// edited applies a remedy and changes the journal's text.
func edited(t *testing.T, change func(map[string]any)) (remedy.Host, string) {
	t.Helper()
	dir := t.TempDir()
	h, file := remedy.Host{Journal: filepath.Join(dir, "journal")}, filepath.Join(dir, "daemon.json")
	require.NoError(t, h.Apply(t.Context(), mtu(file)))
	text, err := os.ReadFile(h.Journal)
	require.NoError(t, err)
	var j map[string]any
	require.NoError(t, json.Unmarshal(text, &j))
	change(j)
	text, err = json.Marshal(j)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.Journal, text, 0o600))
	return h, file
}

func TestBrokenAndForeignJournals(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]any)
		says   string
	}{
		"another schema":    {func(j map[string]any) { j["schema"] = "x/v9" }, `its schema is "x/v9"`},
		"another namespace": {func(j map[string]any) { j["namespace"] = "net:[1]" }, "belongs to another network namespace (net:[1], this is net:["},
		"unknown field":     {func(j map[string]any) { j["more"] = 1 }, "is broken"},
		"unknown step": {func(j map[string]any) {
			j["applied"].([]any)[0].(map[string]any)["steps"] = []any{map[string]any{}}
		}, "a step of an unknown kind"},
	} {
		t.Run(name, func(t *testing.T) {
			h, file := edited(t, test.change)
			before, err := os.ReadFile(h.Journal)
			require.NoError(t, err)
			_, err = h.RevertAll(t.Context())
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, h.Apply(t.Context(), mtu(file+"2")), test.says)
			_, err = h.Status(t.Context())
			require.ErrorContains(t, err, test.says)
			after, err := os.ReadFile(h.Journal)
			require.NoError(t, err)
			require.Equal(t, before, after, "it is left as it is")
		})
	}
	for _, text := range []string{"", "{", "[]", "null garbage", strings.Repeat("x", 1<<16)} {
		h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
		require.NoError(t, os.WriteFile(h.Journal, []byte(text), 0o600))
		_, err := h.RevertAll(t.Context())
		require.ErrorContains(t, err, h.Journal)
		require.ErrorContains(t, err, "by hand")
	}
}

// After a reboot the kernel has forgotten, files have not.
func TestJournalFromBeforeAReboot(t *testing.T) {
	h, file := edited(t, func(j map[string]any) { j["boot"], j["namespace"] = "earlier", "net:[1]" })
	require.NoError(t, h.Apply(t.Context(), mtu(file+"2")))
	reverted, err := h.RevertAll(t.Context())
	require.NoError(t, err)
	require.Len(t, reverted, 2)
	require.NoFileExists(t, file)
	require.NoFileExists(t, h.Journal)

	const setting = "/proc/sys/net/ipv4/ip_forward"
	require.NoError(t, os.WriteFile(setting, []byte("0"), 0o644))
	require.NoError(t, h.Apply(t.Context(), model.Remedy{Name: "ip-forward-on"}))
	text, err := os.ReadFile(h.Journal)
	require.NoError(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(h.Journal, []byte(strings.ReplaceAll(string(text), strings.TrimSpace(string(boot)), "earlier")), 0o600))
	require.NoError(t, h.Apply(t.Context(), mtu(file)), "what this boot has applied is beside it")
	_, err = h.RevertAll(t.Context())
	require.NoError(t, err)
	now, err := os.ReadFile(setting)
	require.NoError(t, err)
	require.Equal(t, "1\n", string(now), "what this boot has set is not the journal's to undo")
	require.NoError(t, os.WriteFile(setting, []byte("0"), 0o644))
}

func TestTwoAtOnce(t *testing.T) {
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	lock, err := os.Create(h.Journal + ".lock")
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	require.ErrorContains(t, h.Apply(t.Context(), mtu(h.Journal+"-file")), "another nestlab")
	_, err = h.RevertAll(t.Context())
	require.ErrorContains(t, err, "another nestlab")
	require.ErrorContains(t, h.Revert(t.Context(), mtu(h.Journal+"-file")), "another nestlab")
	require.NoError(t, lock.Close())
	require.NoError(t, h.Apply(t.Context(), mtu(h.Journal+"-file")))
}

func TestOneFileChangedTwice(t *testing.T) {
	dir := t.TempDir()
	h, file := remedy.Host{Journal: filepath.Join(dir, "journal")}, filepath.Join(dir, "daemon.json")
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o644))
	driver := model.Remedy{Name: "storage-driver", Parameters: map[string]string{"driver": "vfs", "file": file}}
	require.NoError(t, h.Apply(t.Context(), mtu(file)))
	require.NoError(t, h.Apply(t.Context(), driver))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, `{"mtu":1400,"storage-driver":"vfs"}`, string(text))
	require.ErrorContains(t, h.Revert(t.Context(), mtu(file)), "storage-driver driver=vfs file="+file+" was applied later")
	reverted, err := h.RevertAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"storage-driver", "docker-mtu"}, []string{reverted[0].Name, reverted[1].Name})
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "{}", string(text))
}

// What someone else has written meanwhile is not overwritten, and not forgotten.
func TestFileChangedByOthers(t *testing.T) {
	h, file := edited(t, func(map[string]any) {})
	require.NoError(t, os.WriteFile(file, []byte(`{"mine":1}`), 0o644))
	_, err := h.RevertAll(t.Context())
	require.ErrorContains(t, err, "changed since by someone else")
	require.FileExists(t, h.Journal)
	status, err := h.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"file " + file}, status[0].Missing)
	require.NoError(t, os.Remove(file))
	_, err = h.RevertAll(t.Context())
	require.NoError(t, err)
	require.NoFileExists(t, file)
}

// A change that fails half way is reverted.
func TestFailedApplyLeavesNothing(t *testing.T) {
	machine(t)
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	before := snapshot(t)
	// Its second step fails: by then someone else has made the table.
	h = h.WithReached(func(point string) {
		if point == "step 1" {
			run(t, "nft", "add", "table", "ip", "nestlab-dns-forwarder-"+bridge)
			run(t, "nft", "add", "chain", "ip", "nestlab-dns-forwarder-"+bridge, "prerouting", "{ type filter hook input priority 0; }")
		}
	})
	err := h.Apply(t.Context(), model.Remedy{Name: "dns-forwarder", Parameters: map[string]string{"bridge": bridge, "server": own}})
	require.ErrorContains(t, err, "apply the remedy dns-forwarder: nftables table nestlab-dns-forwarder-nlbr0")
	same(t, h, before, "failed")
}
