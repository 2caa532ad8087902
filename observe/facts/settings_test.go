package facts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

func TestParseSettings(t *testing.T) {
	t.Parallel()
	got, err := parseSettings([]byte(`{"bip": "10.9.0.1/24", "ip-masq": false, "mtu": 1400, "storage-opts": ["overlay2.size=10G", "x=y"],
		"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 20, "Soft": 10}}, "log-opts": {"fluentd-address": "a:1", "splunk-token": "SECRET"},
		"proxies": {"http-proxy": "http://me:SECRET@x"}, "exec-opts": ["native.cgroupdriver=systemd"], "hosts": ["x"]}`), "f")
	require.NoError(t, err)
	var all []string
	for _, s := range got {
		require.Equal(t, "f", s.From)
		all = append(all, s.Key+" "+s.Value)
	}
	require.Equal(t, []string{"bip 10.9.0.1/24", "default-ulimits nofile=10:20", "exec-opts native.cgroupdriver=systemd", "ip-masq false",
		"log-opts fluentd-address=a:1", "mtu 1400", "storage-opts overlay2.size=10G", "storage-opts x=y"}, all)
	for _, bad := range []string{"{", `["a"]`, `{"bip": }`} {
		_, err := parseSettings([]byte(bad), "f")
		require.ErrorContains(t, err, "decode f")
	}
	for _, none := range []string{"", " \n", "{}"} {
		got, err := parseSettings([]byte(none), "f")
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add(`{"bip": 1e999, "log-opts": {"a-address": [[{}]]}}`, "--bip\x00--bridge=none\x00-g")
	f.Add(`{"default-ulimits": {"nofile": {"Soft": null, "Hard": {}}}}`, "--config-file\x00=\x00-")
	f.Fuzz(func(t *testing.T, text, args string) {
		found, err := parseSettings([]byte(text), "f")
		require.True(t, err == nil || found == nil)
		_, flags := parseFlags(strings.Split(args, "\x00"))
		for _, s := range append(found, flags...) {
			require.NotEmpty(t, s.Key)
			require.LessOrEqual(t, len(s.Value), maxSetting+8)
		}
		require.LessOrEqual(t, len(found), maxSettings)
	})
}

func TestParseFlags(t *testing.T) {
	t.Parallel()
	config, found := parseFlags([]string{"dockerd", "--config-file", "/a.json", "--ip-masq=false", "--iptables", "--bridge", "none", "--log-opt", "splunk-token=SECRET", "-H", "fd://", "--default-ulimit", "nofile=10:10"})
	require.Equal(t, "/a.json", config)
	require.Equal(t, []model.DockerSetting{
		{Key: "ip-masq", Value: "false", From: model.FromFlags}, {Key: "iptables", Value: "true", From: model.FromFlags},
		{Key: "bridge", Value: "none", From: model.FromFlags}, {Key: "default-ulimits", Value: "nofile=10:10", From: model.FromFlags},
	}, found)
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got, err := readSettings(dir, "/daemon.json")
	require.NoError(t, err)
	require.Empty(t, got)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "daemon.json"), []byte(`{"mtu": 1400}`), 0o600))
	got, err = readSettings(dir, "/daemon.json")
	require.NoError(t, err)
	require.Equal(t, []model.DockerSetting{{Key: "mtu", Value: "1400", From: "/daemon.json"}}, got)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	got, err = readSettings(dir, "/sub")
	require.NoError(t, err, "a directory is no configuration")
	require.Empty(t, got)
	require.NoError(t, os.Symlink("/daemon.json", filepath.Join(dir, "link")))
	got, err = readSettings(dir, "/link")
	require.NoError(t, err)
	require.Len(t, got, 1, "a link leads on from the daemon's root")
}

func TestRanged(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "ravi:100000:65536\n": false, "ravi:1:1\nroot:1000000:65536\n": true, "lxd:1:2": true, "0:1:2": true, "rooted:1:2": false,
	} {
		require.Equal(t, want, ranged(text), text)
	}
}

func TestCertificateFaults(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, dockerCerts)
	got, err := certificateFaults(root)
	require.NoError(t, err)
	require.Empty(t, got)
	certificate, key := pair(t)
	for name, text := range map[string]string{
		"good:5000/ca.crt": certificate, "good:5000/client.cert": certificate, "good:5000/client.key": key,
		"wrong/ca.cert": certificate, "keyless/a.key": key, "broken/a.cert": "no PEM", "broken/a.key": key, "file": "",
		"pipe/a.key": key, "../elsewhere.cert": certificate, "../elsewhere.key": key,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	// Nothing hangs who reads, and what is a link leads on from the daemon's root.
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "pipe/a.cert"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "link"), 0o700))
	for _, name := range []string{"cert", "key"} {
		require.NoError(t, os.Symlink("/etc/docker/elsewhere."+name, filepath.Join(dir, "link/a."+name)))
	}
	got, err = certificateFaults(root)
	require.NoError(t, err)
	require.Equal(t, []model.CertificateFault{
		{Registry: "broken", File: dockerCerts + "/broken/a.cert"},
		{Registry: "keyless", File: dockerCerts + "/keyless/a.key", Lacks: "a.cert"},
		{Registry: "wrong", File: dockerCerts + "/wrong/ca.cert", Lacks: "ca.key"},
	}, got)
}

func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	require.NoError(t, err)
	text, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text}))
}

func TestMountOf(t *testing.T) {
	t.Parallel()
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 / /var/lib/docker rw - xfs /dev/sdb1 rw,prjquota
3 2 8:2 /overlay2 /var/lib/docker/overlay2 ro,relatime - xfs /dev/sdb1 rw,prjquota
4 1 8:3 / /var/lib/docker-other ro - ext4 /dev/sdc1 ro
`), nil)
	require.NoError(t, err)
	for path, at := range map[string]string{
		"/var/lib/docker": "/var/lib/docker", "/var/lib/docker/image": "/var/lib/docker", "/var/lib/docker/overlay2/x": "/var/lib/docker/overlay2", "/var/lib": "/",
	} {
		require.Equal(t, at, mountOf(mounts, path).Mountpoint, path)
	}
	for root, want := range map[string]*model.Dockerd{
		"/var/lib/docker":       {RootType: "xfs", ProjectQuota: true, ReadOnly: []string{"/var/lib/docker/overlay2"}},
		"/var/lib/docker-other": {RootType: "ext4", ReadOnly: []string{"/var/lib/docker-other"}}, "/data": {RootType: "ext4"},
	} {
		d := &model.Dockerd{Root: root}
		want.Root = root
		readMounts(d, mounts)
		require.Equal(t, want, d)
	}
}

func TestWhatADaemonFinds(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "bin"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "bin/runc"), nil, 0o700))
	p := daemonProcess{root: root, path: []string{"/usr/bin", "/bin"}}
	require.True(t, p.has("runc"))
	require.True(t, p.has("/bin/runc"))
	require.False(t, p.has("nvidia-container-runtime"))
	require.False(t, p.has("/usr/bin/crun"))
	require.True(t, daemonProcess{}.has("x"), "where the process is not seen nothing is known")
	require.True(t, daemonProcess{root: root}.has("x"), "nor where its directories are not")
}

// Who listens on a socket is found, whatever its name; nobody is where nobody listens.
func TestWhoHasTheSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "nl") // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "d.sock")
	require.Zero(t, peer(t.Context(), path))
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.Equal(t, os.Getpid(), peer(t.Context(), path))
	p := findDockerd(t.Context(), path)
	require.Equal(t, os.Getpid(), p.pid)
	require.False(t, p.named)
	require.False(t, p.stopped)
	require.NotEmpty(t, p.args)
	require.NotEmpty(t, p.root)
}
