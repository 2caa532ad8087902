package probe_test

import (
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
)

// fakeImage is in a registry whose port is closed.
const fakeImage = "127.0.0.1:9/hello:1"

func docker(t *testing.T, image string, change func(*probe.Options)) map[string]model.Result {
	t.Helper()
	targets := &targets.Set{Docker: &targets.Docker{Image: image, Output: "hello from nestlab"}}
	byProbe := map[string]model.Result{}
	for _, r := range observe(t, targets, change, model.SuiteDocker) {
		byProbe[r.Probe] = r
	}
	require.Len(t, byProbe, 4)
	return byProbe
}

func TestDockerThatWorks(t *testing.T) {
	t.Parallel()
	f := newFakeDaemon(t)
	results := docker(t, fakeImage, f.host)
	for _, r := range results {
		want(t, r, "")
	}
	require.Equal(t, "overlay2", results[model.ProbeDockerPing].Detail.Values["storage_driver"])
	require.Equal(t, "hello from nestlab\n", results[model.ProbeDockerRun].Detail.Output)
	require.True(t, f.called("DELETE /containers/c1"))
	require.True(t, f.called("DELETE /images/"+fakeImage), "an image that was not there before is removed")
	require.False(t, f.image)
}

// The slow driver is a finding, and the daemon is used all the same.
func TestDockerWithTheSlowDriver(t *testing.T) {
	t.Parallel()
	f := newFakeDaemon(t)
	f.driver = "vfs"
	results := docker(t, fakeImage, f.host)
	want(t, results[model.ProbeDockerPing], model.StorageDriver)
	require.Equal(t, "vfs", results[model.ProbeDockerPing].Detail.Values["storage_driver"])
	want(t, results[model.ProbeDockerRun], "")
}

// A build that fails in its second step has made an image in its first.
func TestDockerBuildLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFakeDaemon(t)
	f.build = func(w http.ResponseWriter) { f.stream(w, `{"errorDetail":{"message":"no"},"error":"no"}`) }
	f.left = map[string][]map[string]any{"1": {{"Id": "sha256:a", "ParentId": "sha256:0"}, {"Id": "sha256:b", "ParentId": "sha256:a"}}}
	want(t, docker(t, fakeImage, f.host)[model.ProbeDockerBuild], model.BuildFailed)
	leaf, root := slices.Index(f.calls, "DELETE /images/sha256:b"), slices.Index(f.calls, "DELETE /images/sha256:a")
	require.Positive(t, leaf)
	require.Greater(t, root, leaf)
}

func TestDockerThatIsDown(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone.sock")
	dir, err := os.MkdirTemp("", "nl")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	dead := filepath.Join(dir, "d.sock")
	l, err := net.Listen("unix", dead)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	for socket, dial := range map[string]string{gone: "no socket", dead: "refused"} {
		results := docker(t, fakeImage, func(o *probe.Options) { o.DockerHost = "unix://" + socket })
		for _, r := range results {
			want(t, r, model.DaemonDown)
		}
		require.Equal(t, dial, results[model.ProbeDockerPing].Detail.Values["dial"])
		require.Contains(t, results[model.ProbeDockerRun].Detail.Message, "not tried")
	}
	for _, r := range docker(t, fakeImage, func(o *probe.Options) { o.DockerHost = "carrier-pigeon" }) {
		want(t, r, model.DaemonDown)
	}
}

// What docker-run and docker-build say about containers and builds that fail.
func TestDockerFailures(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		change func(*fakeDaemon)
		probe  string
		reason model.Reason
	}{
		"does not start": {func(f *fakeDaemon) { f.start = http.StatusInternalServerError }, model.ProbeDockerRun, model.ContainerFailed},
		"no space, as its words go": {func(f *fakeDaemon) {
			f.start = http.StatusInternalServerError
			f.says = "fork/exec /proc/self/exe: no space left on device"
		}, model.ProbeDockerRun, model.ContainerFailed},
		"ends badly":         {func(f *fakeDaemon) { f.exit = 137 }, model.ProbeDockerRun, model.ContainerFailed},
		"prints other words": {func(f *fakeDaemon) { f.prints = "bye" }, model.ProbeDockerRun, model.ContainerFailed},
		"build says no": {func(f *fakeDaemon) {
			f.build = func(w http.ResponseWriter) {
				f.stream(w, `{"errorDetail":{"code":1,"message":"exit 1"},"error":"exit 1"}`)
			}
		}, model.ProbeDockerBuild, model.BuildFailed},
		"build breaks off": {func(f *fakeDaemon) {
			f.build = func(w http.ResponseWriter) { f.stream(w, `{"stream":"Step 1`) }
		}, model.ProbeDockerBuild, model.BuildFailed},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			f := newFakeDaemon(t)
			c.change(f)
			results := docker(t, fakeImage, f.host)
			want(t, results[c.probe], c.reason)
			if c.probe == model.ProbeDockerRun {
				require.True(t, f.called("DELETE /containers/c1"), "a container that failed is removed too")
			}
		})
	}
}

// A daemon that dies in the middle is lost, not a failed pull.
func TestDockerThatDies(t *testing.T) {
	t.Parallel()
	f := newFakeDaemon(t)
	f.pull = func(w http.ResponseWriter) {
		f.stream(w, `{"status":"Pulling"}`)
		go func() {
			if err := f.server.Close(); err != nil {
				t.Error(err)
			}
		}()
		panic(http.ErrAbortHandler)
	}
	f.server.ErrorLog = log.New(t.Output(), "", 0)
	results := docker(t, fakeImage, f.host)
	want(t, results[model.ProbeRegistryPull], model.Lost)
}

// The registry is asked from here where the daemon only says that it failed.
func TestRegistryPullFailures(t *testing.T) {
	t.Parallel()
	has := httptest.NewServer(registry.New(registry.Logger(log.New(t.Output(), "", 0))))
	t.Cleanup(has.Close)
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return hostOf(s)
	}
	push(t, hostOf(has)+"/there:1")
	for title, c := range map[string]struct {
		image  string
		says   int
		stream string
		reason model.Reason
	}{
		"not found, says the daemon": {hostOf(has) + "/there:1", http.StatusNotFound, "", model.ImageNotFound},
		"closed port":                {fakeImage, http.StatusInternalServerError, "", model.Refused},
		"rate limited":               {status(429) + "/hello:1", http.StatusInternalServerError, "", model.RateLimited},
		"server error":               {status(503) + "/hello:1", http.StatusInternalServerError, "", model.ServerError},
		"silent registry":            {silentServer(t) + "/hello:1", http.StatusInternalServerError, "", model.ReadTimeout},
		"no such tag":                {hostOf(has) + "/missing:1", http.StatusInternalServerError, "", model.ImageNotFound},
		"there, all the same":        {hostOf(has) + "/there:1", http.StatusInternalServerError, "", model.RegistryError},
		"error in the stream":        {hostOf(has) + "/there:1", 0, `{"errorDetail":{"message":"no"},"error":"no"}`, model.RegistryError},
		"no room for it": {hostOf(has) + "/there:1", 0,
			`{"errorDetail":{"message":"write /var/lib/docker/tmp/x: no space left on device"},"error":"no"}`, model.DiskFull},
		// The lines of a real 28.5.2 whose containerd cannot unpack.
		"a layer that cannot be unpacked": {hostOf(has) + "/there:1", 0, `{"status":"Pulling fs layer","id":"a"}
			{"status":"Downloading","id":"a"}{"status":"Download complete","id":"a"}{"status":"Extracting","id":"a"}
			{"errorDetail":{"message":"failed to extract layer sha256:a: invalid argument"},"error":"no"}`, model.StorageDriver},
		"a layer that did not come": {hostOf(has) + "/there:1", 0, `{"status":"Download complete","id":"a"}{"status":"Downloading","id":"b"}
			{"errorDetail":{"message":"unexpected EOF"},"error":"no"}`, model.RegistryError},
		"half an answer": {hostOf(has) + "/there:1", 0, `{"status":"Pul`, model.RegistryError},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			f := newFakeDaemon(t)
			f.pull = func(w http.ResponseWriter) {
				if c.says != 0 {
					f.fail(w, c.says, "as told")
					return
				}
				f.stream(w, c.stream)
			}
			results := docker(t, c.image, func(o *probe.Options) {
				f.host(o)
				o.Targets.Deadlines[model.ProbeRegistryPull] = targets.Duration(4e9)
			})
			want(t, results[model.ProbeRegistryPull], c.reason)
			for _, name := range []string{model.ProbeDockerRun, model.ProbeDockerBuild} {
				want(t, results[name], c.reason)
				require.Contains(t, results[name].Detail.Message, "not tried")
			}
		})
	}
}

func hostOf(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

func push(t *testing.T, ref string) {
	t.Helper()
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	tag, err := name.ParseReference(ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag, image))
}

// A socket that is closed to this user is no dead daemon.
func TestDockerSocketWithoutPermission(t *testing.T) {
	t.Parallel()
	if !withoutOverride(t) {
		return
	}
	f := newFakeDaemon(t)
	require.NoError(t, os.Chmod(f.socket, 0))
	r := docker(t, fakeImage, f.host)[model.ProbeDockerPing]
	want(t, r, model.Permission)
	require.Contains(t, r.Detail.Message, "run nestlab as root")
}
