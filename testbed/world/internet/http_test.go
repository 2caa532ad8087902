package internet_test

import (
	"bufio"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

func TestHTTPPaths(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	for _, test := range []struct {
		name, method, url string
		status            int
		body              string // a part of it
	}{
		{"plain", "GET", "http://archive.lab.test/", 200, "host=archive.lab.test from=127.0.0.1"},
		{"plain says so", "GET", "http://download.lab.test/", 200, "tls=false"},
		{"TLS says so", "GET", "https://registry.lab.test/", 200, "tls=true"},
		{"by address", "GET", "http://" + s.address.String() + "/", 200, "host=" + s.address.String()},
		{"head", "HEAD", "https://archive.lab.test/", 200, ""},
		{"no such path", "GET", "http://archive.lab.test/nothing", 404, ""},
		{"wrong method", "POST", "http://archive.lab.test/", 405, ""},
		{"Docker's key", "GET", "https://download.lab.test/linux/debian/gpg", 200, "-----BEGIN PGP PUBLIC KEY BLOCK-----"},
		{"Docker's key elsewhere", "GET", "https://archive.lab.test/linux/debian/gpg", 404, ""},
		{"authority", "GET", "http://archive.lab.test/ca.crt", 200, "-----BEGIN CERTIFICATE-----"},
		{"authority by TLS", "GET", "https://archive.lab.test/ca.crt", 404, ""},
		{"no repository", "GET", "http://archive.lab.test/debian/", 404, ""},
		{"registry", "GET", "https://registry.lab.test/v2/", 200, ""},
		{"registry without TLS", "GET", "http://registry.lab.test/v2/", 404, ""},
		{"registry by another name", "GET", "https://archive.lab.test/v2/", 404, ""},
		{"push", "POST", "https://registry.lab.test/v2/a/blobs/uploads/", 405, "takes no pushes"},
		{"delete", "DELETE", "https://registry.lab.test/v2/library/hello/manifests/1", 405, "takes no pushes"},
		{"blob not a number", "GET", "http://archive.lab.test/blob/x", 400, "0 to 67108864"},
		{"blob negative", "GET", "http://archive.lab.test/blob/-1", 400, "0 to 67108864"},
		{"blob too large", "GET", "http://archive.lab.test/blob/67108865", 400, "0 to 67108864"},
		{"blob beyond numbers", "GET", "http://archive.lab.test/blob/99999999999999999999", 400, "0 to 67108864"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, body := s.do(t, test.method, test.url, nil)
			require.Equal(t, test.status, status, body)
			require.Contains(t, body, test.body)
		})
	}
}

func TestBlobHasItsSizeAndIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	for _, size := range []int{0, 1, 1500, 1 << 20} {
		status, first := s.get(t, fmt.Sprintf("http://archive.lab.test/blob/%d", size))
		require.Equal(t, http.StatusOK, status)
		require.Len(t, first, size)
		_, second := s.get(t, fmt.Sprintf("https://archive.lab.test/blob/%d", size))
		require.True(t, first == second, "blob of %d bytes differs", size)
	}
	_, blob := s.get(t, "http://archive.lab.test/blob/4096")
	require.Greater(t, len(strings.Split(blob, "\x00")), 2, "it looks like noise")
	require.Less(t, strings.Count(blob, "\x00"), 64, "it is not all the same")
}

func TestSinkCounts(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	for _, size := range []int64{0, 1500, internet.MaxBlob} {
		status, body := s.do(t, http.MethodPost, "http://archive.lab.test/sink", io.LimitReader(zeros{}, size))
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, fmt.Sprintf("received %d bytes\n", size), body)
	}
	status, body := s.do(t, http.MethodPost, "http://archive.lab.test/sink", struct{ io.Reader }{io.LimitReader(zeros{}, internet.MaxBlob+1)})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "too large")
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestCertificateNeedsTheAuthority(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	_, err := s.newClient(t, "").Get("https://archive.lab.test/")
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
	_, err = s.client.Get("https://nothing.lab.test/")
	var wrong x509.HostnameError
	require.ErrorAs(t, err, &wrong)
	_, served := s.get(t, "http://archive.lab.test/ca.crt")
	written, err := os.ReadFile(s.config.CAFile)
	require.NoError(t, err)
	require.Equal(t, string(written), served)
}

func TestAuthorityIsForTheSimulatedNamesAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	_, text := s.get(t, "http://archive.lab.test/ca.crt")
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	authority := readCertificate(t, path)
	require.True(t, authority.IsCA)
	require.Equal(t, []string{internet.Domain}, authority.PermittedDNSDomains)
	require.True(t, authority.PermittedDNSDomainsCritical)
}

func TestRequestsAreLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	s.get(t, "https://download.lab.test/blob/70?q=1")
	s.get(t, "http://archive.lab.test/nothing")
	await.True(t, func() bool {
		found := 0
		for _, e := range s.log.entries(t) {
			switch e["path"] {
			case "/blob/70":
				require.Equal(t, []any{"https", "download.lab.test", "GET", 200.0, 70.0},
					[]any{e["service"], e["host"], e["method"], e["status"], e["bytes"]})
				found++
			case "/nothing":
				require.Equal(t, []any{"http", 404.0}, []any{e["service"], e["status"]})
				found++
			}
		}
		return found == 2
	})
}

func TestHeaderHasALimit(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	c, err := net.Dial("tcp", net.JoinHostPort(s.address.String(), "80"))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(await.Deadline(t)))
	_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: archive.lab.test\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 128<<10))
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode)
}

func TestAptRepositoryIsServedAndNothingElse(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(repository, "Release"), []byte("Origin: nestlab\n"), 0o644))
	require.NoError(t, os.Symlink(secret, filepath.Join(repository, "link")))
	c := newConfig(t)
	c.AptRepository = repository
	s := serve(t, c)
	for path, want := range map[string]int{
		"/debian/Release": 200, "/debian/nothing": 404, "/debian/link": 404,
		"/debian/%2e%2e/" + filepath.Base(filepath.Dir(secret)) + "/secret": 404,
		"/debian/..%2f..%2fetc%2fpasswd":                                    404,
	} {
		status, body := s.get(t, "http://archive.lab.test"+path)
		if (want == 200) != (status == 200) {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
		require.NotContains(t, body, "secret", path)
		require.NotContains(t, body, "root:", path)
	}
	status, _ := s.get(t, "http://download.lab.test/debian/Release")
	require.Equal(t, http.StatusNotFound, status, "the archive alone has packages")
}

// The vendor's site has every name, for a service has that of who binds it.
func TestVendorIsServedByAnyName(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	c.Vendor = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(c.Vendor, "linux/debian"), 0o755))
	for _, path := range []string{"linux/debian/gpg", "get-docker.sh", "vendor.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(c.Vendor, path), []byte(path), 0o644))
	}
	s := serve(t, c)
	for _, site := range []string{"download.lab.test", "archive.lab.test"} {
		for path, want := range map[string]int{"/linux/debian/gpg": 200, "/get-docker.sh": 200, "/vendor.json": 404, "/linux/nothing": 404} {
			status, body := s.get(t, "http://"+site+path)
			require.Equal(t, want, status, site+path)
			if want == 200 {
				require.Equal(t, path[1:], body)
			}
		}
	}
}
