package probe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpproxy"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// TestTryProxy: a proxy that serves has no reason, one that fails says why, and nothing that is
// not to go by one is tried.
func TestTryProxy(t *testing.T) {
	t.Parallel()
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	e := &env{targets: &targets.Set{}, apt: &aptState{}, docker: &dockerState{}}
	for title, c := range map[string]struct {
		config httpproxy.Config
		shown  string
		reason model.Reason
	}{
		"none":                        {config: httpproxy.Config{}},
		"one of another scheme":       {config: httpproxy.Config{HTTPSProxy: "http://" + closed}},
		"not for this host":           {config: httpproxy.Config{HTTPProxy: "http://" + closed, NoProxy: "registry.invalid"}},
		"it serves":                   {config: httpproxy.Config{HTTPProxy: "http://" + status(200)}, shown: "http://"},
		"a token is wanted":           {config: httpproxy.Config{HTTPProxy: "http://" + status(401)}, shown: "http://"},
		"nobody listens":              {config: httpproxy.Config{HTTPProxy: "http://me:SECRET@" + closed}, shown: "http://" + closed, reason: model.Refused},
		"it speaks no TLS":            {config: httpproxy.Config{HTTPProxy: "https://" + status(200)}, shown: "https://", reason: model.TLSOther},
		"it wants a name":             {config: httpproxy.Config{HTTPProxy: "http://" + status(407)}, shown: "http://", reason: model.ProxyRequired},
		"it wants the name it is for": {config: httpproxy.Config{HTTPProxy: "http://xxxxx:xxxxx@" + status(407)}, shown: "http://"},
		"the server refuses":          {config: httpproxy.Config{HTTPProxy: "http://" + status(403)}, shown: "http://"},
		"its authority is not known":  {config: httpproxy.Config{HTTPProxy: strangersProxy(t)}, shown: "https://"},
		"it fails itself":             {config: httpproxy.Config{HTTPProxy: "http://" + status(502)}, shown: "http://", reason: model.ServerError},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			shown, o := e.tryProxy(t.Context(), c.config, "http://registry.invalid/v2/")
			require.Equal(t, c.reason, o.reason, "%v", o.err)
			require.True(t, strings.HasPrefix(shown, c.shown) && (c.shown != "" || shown == ""), shown)
			require.NotContains(t, shown, "SECRET")
		})
	}
}

// strangersProxy is one with a certificate of an authority that is not known here.
func strangersProxy(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

func TestParseAptProxy(t *testing.T) {
	t.Parallel()
	const text = `Acquire "";
Acquire::http "";
Acquire::http::Proxy::archive.lab.test "DIRECT";
Acquire::http::Proxy::Other.lab.test "http://c:1";
Acquire::http::Proxy "http://198.51.100.99:3142";
Acquire::HTTPS::Proxy "http://b:1";
Acquire::Retries "0";
`
	for host, want := range map[string]string{"": "http://198.51.100.99:3142", "x.lab.test": "http://198.51.100.99:3142", "archive.lab.test": "", "other.LAB.test": "http://c:1"} {
		require.Equal(t, httpproxy.Config{HTTPProxy: want, HTTPSProxy: "http://b:1"}, parseAptProxy(text, host), host)
	}
	require.Equal(t, httpproxy.Config{}, parseAptProxy("Acquire::http::Proxy \"DIRECT\";\nnothing", "x"))
}

func FuzzParseAptProxy(f *testing.F) {
	f.Add("Acquire::http::Proxy \"\n;")
	f.Fuzz(func(t *testing.T, text string) {
		c := parseAptProxy(text, "x")
		require.LessOrEqual(t, len(c.HTTPProxy)+len(c.HTTPSProxy), len(text))
	})
}
