package remedy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// moved puts a link in a file's place, and gives the file's new path.
func moved(t *testing.T, path string) string {
	t.Helper()
	elsewhere := path + ".elsewhere"
	require.NoError(t, os.Rename(path, elsewhere))
	require.NoError(t, os.Symlink(filepath.Base(elsewhere), path))
	t.Cleanup(func() { require.NoError(t, os.Rename(elsewhere, path)) })
	return elsewhere
}

// TestLinksStayLinks: what they lead to is changed, and put back.
func TestLinksStayLinks(t *testing.T) {
	machine(t)
	for _, test := range []struct {
		path   string
		remedy model.Remedy
	}{
		{daemonJSON, model.Remedy{Name: "docker-mtu", Parameters: map[string]string{"mtu": "1400"}}},
		{catalogue.CABundle, model.Remedy{Name: "ca-install", Parameters: map[string]string{"certificate": authority(t, true)}}},
	} {
		t.Run(test.remedy.Name, func(t *testing.T) {
			elsewhere := moved(t, test.path)
			h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
			before := snapshot(t)
			was, err := os.ReadFile(elsewhere)
			require.NoError(t, err)
			require.NoError(t, h.Apply(t.Context(), test.remedy))
			is, err := os.ReadFile(elsewhere)
			require.NoError(t, err)
			require.NotEqual(t, was, is, "the file behind the link")
			_, err = os.Readlink(test.path)
			require.NoError(t, err, "it is a link still")
			require.NoError(t, h.Revert(t.Context(), test.remedy))
			same(t, h, before, "reverted")
		})
	}
}

func TestALinkThatLeadsNowhereIsRefused(t *testing.T) {
	machine(t)
	link := filepath.Join(filepath.Dir(daemonJSON), "nowhere.json")
	require.NoError(t, os.Symlink("missing.json", link))
	t.Cleanup(func() { require.NoError(t, os.Remove(link)) })
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	err := h.Apply(t.Context(), model.Remedy{Name: "docker-mtu", Parameters: map[string]string{"mtu": "1400", "file": link}})
	require.ErrorContains(t, err, "is a link that leads nowhere")
}
