package probe_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// TestMain is apt-get and dpkg-query when the test binary is run by these names.
func TestMain(m *testing.M) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		panic(err)
	}
	dir := filepath.Dir(path)
	switch filepath.Base(os.Args[0]) {
	case "apt-get":
		os.Exit(fakeAptGet(dir, strings.Join(os.Args[1:], " ")))
	case "dpkg-query":
		os.Exit(fakeDpkgQuery(dir))
	}
	os.Exit(m.Run())
}

// fakeAptGet keeps what is installed in a file, and each call in another.
func fakeAptGet(dir, args string) int {
	log, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(log, args)
	}
	state := filepath.Join(dir, "installed")
	switch {
	case strings.Contains(args, " install "):
		err = errors.Join(err, os.WriteFile(state, nil, 0o600))
		if _, statErr := os.Stat(filepath.Join(dir, "breaks")); statErr == nil {
			fmt.Println("E: dpkg was interrupted")
			return 100
		}
	case strings.Contains(args, " purge "):
		err = errors.Join(err, os.Remove(state))
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func fakeDpkgQuery(dir string) int {
	if _, err := os.Stat(filepath.Join(dir, "installed")); errors.Is(err, fs.ErrNotExist) {
		return 1
	}
	fmt.Print("installed")
	return 0
}

// fakeTools puts both into a directory that is all of $PATH, with empty files
// that say how they behave.
func fakeTools(t *testing.T, files ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	for _, name := range []string{"apt-get", "dpkg-query"} {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	for _, f := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f), nil, 0o600))
	}
	t.Setenv("PATH", dir)
	return dir
}

func calls(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func apt(t *testing.T, sources ...string) (update, install model.Result) {
	t.Helper()
	results := observe(t, &targets.Set{Apt: &targets.Apt{Packages: []string{"hello"}, Sources: sources}}, nil, model.SuitePackages)
	require.Len(t, results, 2)
	return one(t, results, model.ProbeAptUpdate), one(t, results, model.ProbeAptInstall)
}

func TestAptInstallIsTakenBack(t *testing.T) {
	dir := fakeTools(t)
	update, install := apt(t)
	want(t, update, "")
	want(t, install, "")
	require.Contains(t, install.Detail.Output, "done")
	made := calls(t, dir)
	require.Len(t, made, 3)
	require.Contains(t, made[1], "install --yes --no-install-recommends hello")
	require.Contains(t, made[2], "purge --yes hello")
	require.NoFileExists(t, filepath.Join(dir, "installed"))
	for _, call := range made {
		require.Contains(t, call, "Dir::State::lists=")
		require.Contains(t, call, "APT::Update::Error-Mode=any")
		_, lists, _ := strings.Cut(call, "Dir::State::lists=")
		lists, _, _ = strings.Cut(lists, " ")
		require.NoDirExists(t, lists, "apt's private directories are removed")
	}
}

func TestAptLeavesWhatWasThere(t *testing.T) {
	dir := fakeTools(t, "installed")
	_, install := apt(t)
	want(t, install, "")
	require.Len(t, calls(t, dir), 2)
	require.Contains(t, calls(t, dir)[1], "--reinstall hello")
	require.FileExists(t, filepath.Join(dir, "installed"))
}

func TestAptInstallThatBreaksIsTakenBack(t *testing.T) {
	dir := fakeTools(t, "breaks")
	_, install := apt(t)
	want(t, install, model.PackageManager)
	require.Contains(t, install.Detail.Output, "dpkg was interrupted")
	require.NoFileExists(t, filepath.Join(dir, "installed"))
}

func TestNoAptGet(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	update, install := apt(t)
	for _, r := range []model.Result{update, install} {
		require.Equal(t, model.Skip, r.Outcome)
		require.Equal(t, model.CommandNotFound, r.Reason)
		require.NotEmpty(t, r.Detail.Message)
	}
}

// TestAptUpdate lets the real apt-get loose on mirrors that break.
func TestAptUpdate(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for title, c := range map[string]struct {
		mirror http.Handler
		reason model.Reason
	}{
		"works":       {mirror(""), ""},
		"wrong sums":  {mirror("tampered"), model.PackageManager},
		"not there":   {status(404), model.HTTPStatus},
		"too many":    {status(429), model.RateLimited},
		"broken":      {status(503), model.ServerError},
		"hangs":       {http.HandlerFunc(hang), model.ReadTimeout},
		"closed port": {nil, model.Refused},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute // of which it needs a second, on a machine that is not busy
			if c.reason == model.ReadTimeout {
				limit = 8 * time.Second
			}
			url := "http://127.0.0.1:9"
			if c.mirror != nil {
				s := httptest.NewServer(c.mirror)
				t.Cleanup(s.Close)
				url = s.URL
			}
			results := observe(t, &targets.Set{
				Apt:       &targets.Apt{Packages: []string{"nestlab-no-such-package"}, Sources: []string{"deb [trusted=yes] " + url + "/ ./"}},
				Deadlines: map[string]targets.Duration{targets.DeadlineConnect: targets.Duration(time.Second), model.ProbeAptUpdate: targets.Duration(limit)},
			}, nil, model.SuitePackages)
			update, install := one(t, results, model.ProbeAptUpdate), one(t, results, model.ProbeAptInstall)
			want(t, update, c.reason)
			if c.reason == "" {
				// The list holds no package of that name.
				want(t, install, model.PackageManager)
				return
			}
			require.NotEmpty(t, update.Detail.Output)
			want(t, install, c.reason)
			require.Contains(t, install.Detail.Message, "not tried")
			if c.reason != model.PackageManager {
				require.Equal(t, url+"/./", update.Detail.Values["mirror"])
				require.NotEmpty(t, update.Detail.Dials)
			}
		})
	}
}

// mirror is a flat repository; extra is put behind the index after it was summed.
func mirror(extra string) http.Handler {
	packages := "Package: nestlab-other\nVersion: 1\nArchitecture: all\nFilename: ./x.deb\nSize: 1\nSHA256: " + strings.Repeat("0", 64) + "\n\n"
	release := fmt.Sprintf("Date: %s\nSHA256:\n %x %d Packages\n", time.Now().UTC().Format(time.RFC1123), sha256.Sum256([]byte(packages)), len(packages))
	mux := http.NewServeMux()
	serve := func(path, text string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Now(), strings.NewReader(text))
		})
	}
	serve("/Release", release)
	serve("/Packages", packages+extra)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A flat repository's URLs have a dot in them, which the mux would redirect.
		r.URL.Path = strings.Replace(r.URL.Path, "/./", "/", 1)
		mux.ServeHTTP(w, r)
	})
}
