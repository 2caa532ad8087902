package internet_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// The servers bind their well-known ports, which may be taken on the machine.
func TestMain(m *testing.M) {
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// lastAddress counts the loopback addresses that tests have taken.
var lastAddress atomic.Uint32

// newAddress gives each test a loopback address of its own.
func newAddress() netip.Addr {
	n := lastAddress.Add(1)
	return netip.AddrFrom4([4]byte{127, 66, byte(n >> 8), byte(n)})
}

// served is a running simulated internet with all names at one address.
type served struct {
	address netip.Addr
	config  internet.Config
	client  *http.Client // resolves the names and trusts the authority
	log     *buffer
	stop    func() error
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

// entries parses what was logged so far; every line must be JSON.
func (b *buffer) entries(t *testing.T) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []map[string]any
	for lines := bufio.NewScanner(bytes.NewReader(b.all.Bytes())); lines.Scan(); {
		var entry map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &entry), "%s", lines.Text())
		out = append(out, entry)
	}
	return out
}

func newConfig(t *testing.T) internet.Config {
	address := newAddress()
	return internet.Config{
		Resolver: address, Sites: internet.SitesAt(address), State: t.TempDir(),
		CAFile: filepath.Join(t.TempDir(), "ca.pem"),
	}
}

// serve starts the servers and ends them with the test.
func serve(t *testing.T, c internet.Config) *served {
	t.Helper()
	s := &served{address: c.Resolver, log: &buffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	c.Log, c.Ready = s.log, func() { close(ready) }
	s.config = c
	ended := make(chan error, 1)
	go func() { ended <- internet.Serve(ctx, c) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
		t.Fatal("the servers ended before they were ready")
	case <-await.Context(t).Done():
		t.Fatal("the servers never were ready")
	}
	s.client = s.newClient(t, c.CAFile)
	return s
}

// newClient connects to the simulated internet whatever the name.
func (s *served) newClient(t *testing.T, caFile string) *http.Client {
	roots := x509.NewCertPool()
	if caFile != "" {
		authority, err := os.ReadFile(caFile)
		require.NoError(t, err)
		require.True(t, roots.AppendCertsFromPEM(authority))
	}
	dialer := &net.Dialer{}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(at)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(s.address.String(), port))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get fetches an address and gives status and body.
func (s *served) get(t *testing.T, url string) (int, string) {
	t.Helper()
	return s.do(t, http.MethodGet, url, nil)
}

func (s *served) do(t *testing.T, method, url string, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	answer, err := s.client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}
