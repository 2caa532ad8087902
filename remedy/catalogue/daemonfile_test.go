package catalogue_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

// daemonFileCase is what a file holds, or that there is none, before and after a
// remedy's commands and after their way back.
type daemonFileCase struct {
	name, parameter, value, before, after, back string
}

const (
	none        = "no file"
	hostilePath = `/media/x/$(touch ran)/it's "a" b; touch ran #`
)

var daemonFileCases = []daemonFileCase{
	{"docker-mtu", "mtu", "1400", `{"debug":true}`, `{"debug":true,"mtu":1400}`, `{"debug":true}`},
	{"docker-mtu", "mtu", "1400", none, `{"mtu":1400}`, none},
	{"docker-mtu", "mtu", "1400", "", `{"mtu":1400}`, none},
	{"docker-mtu", "mtu", "1400", " \n\t\n", `{"mtu":1400}`, none},
	{"docker-network-mtu", "mtu", "1400", none, `{"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}}}`, none},
	{"docker-network-mtu", "mtu", "1400", `{"default-network-opts":{"bridge":{"x":"y"},"overlay":{}}}`,
		`{"default-network-opts":{"bridge":{"x":"y","com.docker.network.driver.mtu":"1400"},"overlay":{}}}`, `{"default-network-opts":{"bridge":{"x":"y"},"overlay":{}}}`},
	{"storage-driver", "driver", "vfs", `{"debug":true}`, `{"debug":true,"storage-driver":"vfs"}`, `{"debug":true}`},
	{"storage-driver", "driver", "vfs", none, `{"storage-driver":"vfs"}`, none},
	{"docker-data-root", "path", hostilePath, "{ }", fmt.Sprintf(`{"data-root":%q}`, hostilePath), none},
	{"docker-data-root", "path", hostilePath, none, fmt.Sprintf(`{"data-root":%q}`, hostilePath), none},
	{"ip-forward-no-drop", "", "", `{"debug":true}`, `{"debug":true,"ip-forward-no-drop":true}`, `{"debug":true}`},
	{"ip-forward-no-drop", "", "", none, `{"ip-forward-no-drop":true}`, none},
	{"registry-mirror", "url", "https://m/$(touch ran)", none, `{"registry-mirrors":["https://m/$(touch ran)"]}`, none},
	{"registry-mirror", "url", "https://m", `{"registry-mirrors":["https://old","https://m"]}`, `{"registry-mirrors":["https://m","https://old"]}`, `{"registry-mirrors":["https://old"]}`}, // twice
	{"registry-mirror", "url", "https://m/a b", `{"registry-mirrors":["https://old"]}`, `{"registry-mirrors":["https://m/a b","https://old"]}`, `{"registry-mirrors":["https://old"]}`},
}

// A real shell and a real jq do what the commands say, to a file with a hostile
// name as well, and the way back gives what was there: no file where there was
// none, or one that said nothing.
func TestDaemonFileCommandsRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("there is no jq here: ", err)
	}
	for i, test := range daemonFileCases {
		t.Run(fmt.Sprint(i, " ", test.name), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "etc") // which Docker makes, if it has not yet
			file := filepath.Join(dir, "d $(touch ran)'s.json")
			if test.before != none {
				require.NoError(t, os.Mkdir(dir, 0o755))
				require.NoError(t, os.WriteFile(file, []byte(test.before), 0o600))
			}
			r, err := catalogue.Find(test.name)
			require.NoError(t, err)
			parameters := map[string]string{"file": file}
			if test.parameter != "" {
				maps.Copy(parameters, map[string]string{test.parameter: test.value})
			}
			requireEdited(t, file, test.after, r.Commands(parameters))
			requireEdited(t, file, test.back, r.Undo(parameters))
		})
	}
}

// The file's owner and mode stay, and so does a link to it.
func TestDaemonFileCommandsKeepTheFile(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("there is no jq here: ", err)
	}
	elsewhere, link := filepath.Join(t.TempDir(), "elsewhere.json"), filepath.Join(t.TempDir(), "daemon.json")
	require.NoError(t, os.WriteFile(elsewhere, []byte(`{"debug":true}`), 0o640))
	require.NoError(t, os.Symlink(elsewhere, link))
	before, err := os.Stat(link)
	require.NoError(t, err)
	r, err := catalogue.Find("docker-mtu")
	require.NoError(t, err)
	parameters := map[string]string{"file": link, "mtu": "1400"}
	requireEdited(t, link, `{"debug":true,"mtu":1400}`, r.Commands(parameters))
	requireEdited(t, link, `{"debug":true}`, r.Undo(parameters))
	after, err := os.Lstat(elsewhere)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "another file")
	require.Equal(t, before.Mode(), after.Mode())
	text, err := os.ReadFile(elsewhere)
	require.NoError(t, err)
	require.JSONEq(t, `{"debug":true}`, string(text))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, elsewhere, target)
}

// What jq cannot read stays as it is, there and back.
func TestDaemonFileCommandsKeepWhatIsBroken(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("there is no jq here: ", err)
	}
	file := filepath.Join(t.TempDir(), "daemon.json")
	require.NoError(t, os.WriteFile(file, []byte("{ broken"), 0o600))
	r, err := catalogue.Find("docker-mtu")
	require.NoError(t, err)
	parameters := map[string]string{"file": file, "mtu": "1400"}
	for _, command := range append(r.Commands(parameters), r.Undo(parameters)...) {
		if !strings.HasPrefix(command, "systemctl ") {
			_ = exec.CommandContext(t.Context(), "sh", "-c", command).Run() // jq's fail
		}
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "{ broken", string(text))
}

// requireEdited runs all commands but for those to the daemon, and looks at the file
// and for others beside it.
func requireEdited(t *testing.T, file, want string, commands []string) {
	t.Helper()
	above := filepath.Dir(filepath.Dir(file))
	for _, command := range commands {
		if strings.HasPrefix(command, "systemctl ") {
			continue
		}
		run := exec.CommandContext(t.Context(), "sh", "-c", command)
		run.Dir = above
		out, err := run.CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
	}
	require.NoFileExists(t, filepath.Join(above, "ran"))
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	if want == none {
		require.Empty(t, entries, "no file where there was none")
		return
	}
	require.Len(t, entries, 1, "nothing but the file: %v", entries)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, want, string(text))
}
