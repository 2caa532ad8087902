package world_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

// run makes a world with the command in it and gives its code and what it wrote.
func run(t *testing.T, c world.Config, command ...string) (int, string) {
	t.Helper()
	if c.State == "" {
		c.State = t.TempDir()
	}
	ctx := await.Context(t)
	var out bytes.Buffer
	code, err := world.New(c).Run(ctx, command, world.Stdio{Out: &out, Err: &out})
	require.NoError(t, err, out.String())
	return code, out.String()
}

func parseView(t *testing.T, text string) view {
	t.Helper()
	var v view
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

func TestRunnerIsAsAfterBoot(t *testing.T) {
	t.Parallel()
	code, out := run(t, world.Config{}, self(t), "look")
	require.Zero(t, code, out)
	v := parseView(t, out)
	require.Equal(t, "runner", v.Hostname)
	require.Equal(t, "0", v.Forwarding, "dockerd sets DROP only if it is the one that turns it on")
	require.ElementsMatch(t, []string{"lo", "eth0"}, v.Links)
	require.ElementsMatch(t, []string{"127.0.0.1/8", "198.51.100.200/24"}, v.Addresses)
	require.Equal(t, []string{"198.51.100.1"}, v.Gateways, "a route for IPv4 and none for IPv6")
	require.Equal(t, "nameserver 198.51.100.53", v.Resolvers)
	require.Equal(t, []string{"sysfs", "proc", "tmpfs"}, []string{v.Mounts["/sys"], v.Mounts["/proc"], v.Mounts["/run"]})
	for _, dir := range []string{"/var/lib/docker", "/var/lib/lxd", "/etc/docker"} {
		require.Contains(t, v.Mounts, dir)
	}
	require.NotEmpty(t, v.Controllers)
	for _, line := range strings.Split(v.Cgroups, "\n") {
		path := line[strings.LastIndex(line, ":")+1:]
		require.Contains(t, []string{"/", "/init"}, path, "the runner's cgroup is the root that it sees")
	}
	require.Contains(t, v.Environment, "LXD_CONF=/run/lxc-client")
	require.Contains(t, v.Environment, world.CAVariable+"=/run/nestlab-ca.pem")
}

func TestRunnerReachesItsInternet(t *testing.T) {
	t.Parallel()
	code, out := run(t, world.Config{}, self(t), "look")
	require.Zero(t, code, out)
	v := parseView(t, out)
	require.ElementsMatch(t, []string{"198.51.100.10", "2001:db8::10"}, v.Lookup[internet.Archive])
	require.Equal(t, []string{"not found"}, v.Lookup["nothing.lab.test"])
	require.Equal(t, []string{"not found"}, v.Lookup["example.com"])
	require.Contains(t, v.Fetched["http://archive.lab.test/"], "200 nestlab simulated internet host=archive.lab.test")
	require.Equal(t, "200 ", v.Fetched["https://registry.lab.test/v2/"])
	require.Contains(t, v.Fetched["https://download.lab.test/"], "200 nestlab", "its own trust store knows the authority")
	require.Contains(t, v.Fetched["http://[2001:db8::10]/"], "network is unreachable", "at once, as on hosted runners")
	require.Equal(t, "lost, lost", v.Echo)
}

func TestIPv6Works(t *testing.T) {
	t.Parallel()
	_, out := run(t, world.Config{IPv6: true}, self(t), "look")
	v := parseView(t, out)
	require.Equal(t, []string{"198.51.100.1", "2001:db8:1::1"}, v.Gateways)
	require.Contains(t, v.Fetched["http://[2001:db8::10]/"], "200 nestlab simulated internet")
	require.Equal(t, "lost, lost", v.Echo)
}

func TestSingleStack(t *testing.T) {
	t.Parallel()
	_, out := run(t, world.Config{SingleStack: true}, self(t), "look")
	require.Equal(t, []string{"198.51.100.10"}, parseView(t, out).Lookup[internet.Archive])
}

func TestRunGivesTheCommandsCode(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9} {
		for _, init := range []string{"tini", "own"} {
			t.Run(init+" "+command, func(t *testing.T) {
				t.Parallel()
				shell := []string{"/bin/sh", "-c", command}
				if init == "own" {
					shell = append([]string{self(t), "world", "child", "reap"}, shell...)
				}
				code, out := run(t, world.Config{}, shell...)
				require.Equal(t, want, code, out)
			})
		}
	}
}

// Orphans do not stay as zombies, whichever program is the runner's init.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	for _, init := range []string{"tini", "own"} {
		t.Run(init, func(t *testing.T) {
			t.Parallel()
			c := world.Config{State: t.TempDir()}
			ctx := await.Context(t)
			cmd := exec.CommandContext(ctx, self(t), append([]string{"maker", c.State}, self(t), "orphan")...)
			cmd.Env = os.Environ()
			if init == "own" {
				cmd.Env = append(cmd.Env, "PATH="+pathWithoutTini(t))
			}
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

// pathWithoutTini has a shell and sleep alone.
func pathWithoutTini(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "sleep"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

func TestStreamsReachTheCommand(t *testing.T) {
	t.Parallel()
	ctx := await.Context(t)
	var out, errs bytes.Buffer
	code, err := world.New(world.Config{State: t.TempDir()}).Run(ctx, []string{"sh", "-c", "cat; echo no >&2"},
		world.Stdio{In: strings.NewReader("input"), Out: &out, Err: &errs})
	require.NoError(t, err)
	require.Zero(t, code)
	require.Equal(t, []string{"input", "no\n"}, []string{out.String(), errs.String()})
}

func TestProxiesAreNotForTheRunner(t *testing.T) {
	t.Setenv("http_proxy", "http://192.0.2.1:3128")
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
	t.Setenv("NO_PROXY", "a")
	_, out := run(t, world.Config{}, "env")
	require.NotContains(t, strings.ToLower(out), "proxy")
}

func TestRunNamesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, test := range []struct {
		name    string
		config  world.Config
		command []string
		want    string
	}{
		{"no command", world.Config{}, nil, "no command given"},
		{"unknown command", world.Config{}, []string{"no-such-command"}, "no-such-command"},
		{"state is a file", world.Config{State: file}, []string{"true"}, file},
		{"no image", world.Config{Images: []internet.Image{{Reference: "library/a:1", Archive: "/nowhere.tar"}}}, []string{"true"}, "/nowhere.tar"},
		{"no repository", world.Config{AptRepository: "/nowhere"}, []string{"true"}, "/nowhere"},
		{"not nestlab", world.Config{Executable: "/bin/false"}, []string{"true"}, "simulated internet"},
		{"no executable", world.Config{Executable: "/nowhere/nestlab"}, []string{"true"}, "/nowhere/nestlab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.config.State == "" {
				test.config.State = t.TempDir()
			}
			_, err := world.New(test.config).Run(t.Context(), test.command, world.Stdio{})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestInternetIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	run(t, world.Config{Log: &log}, self(t), "look")
	require.Contains(t, log.String(), `"host":"download.lab.test"`)
	for _, line := range bytes.Split(bytes.TrimSpace(log.Bytes()), []byte("\n")) {
		require.True(t, json.Valid(line), "%s", line)
	}
}
