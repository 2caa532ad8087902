package probe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func web(t *testing.T, targets *targets.Set) model.Result {
	t.Helper()
	results := observe(t, targets, nil, model.SuiteNetwork)
	require.Len(t, results, 1)
	return results[0]
}

// hang answers never, until the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestHTTP(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(n)
	})
	mux.HandleFunc("/hang", hang)
	mux.HandleFunc("/half", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		hang(w, r)
	})
	mux.HandleFunc("/close", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	for path, reason := range map[string]model.Reason{
		"GET /status/200": "", "HEAD /status/200": "", "GET /status/302": "",
		"GET /status/404": model.HTTPStatus, "GET /status/429": model.RateLimited, "GET /status/502": model.ServerError, "GET /status/407": model.ProxyRequired,
		"GET /hang": model.ReadTimeout, "GET /half": model.ReadTimeout, "GET /close": model.Refused,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(path, " ")
			r := web(t, &targets.Set{HTTP: []string{method + " " + s.URL + path}})
			want(t, r, reason)
			require.Equal(t, s.URL+path, r.Target)
			require.Equal(t, []string{s.Listener.Addr().String() + "="}, dials(r))
			if strings.HasPrefix(path, "/status/") {
				require.Equal(t, strings.TrimPrefix(path, "/status/"), r.Detail.Values["status"])
			}
		})
	}
}

// authority is a certificate authority of its own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nestlab test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// serve runs an HTTPS server on loopback with a certificate for an address.
func (a *authority) serve(t *testing.T, address string, from, until time.Duration) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are the test
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	const day = 24 * time.Hour
	good := a.serve(t, "127.0.0.1", -day, day)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct {
		url, ca string
		reason  model.Reason
	}{
		"trusted":   {good, a.pem, ""},
		"untrusted": {good, "", model.TLSUntrusted},
		"other CA":  {good, newAuthority(t).pem, model.TLSUntrusted},
		"expired":   {a.serve(t, "127.0.0.1", -day, -time.Hour), a.pem, model.TLSExpired},
		"not yet":   {a.serve(t, "127.0.0.1", time.Hour, day), a.pem, model.TLSExpired},
		"name":      {a.serve(t, "127.0.0.2", -day, day), a.pem, model.TLSName},
		"no TLS":    {strings.Replace(plain.URL, "http:", "https:", 1), "", model.TLSOther},
		"silent":    {"https://" + silentServer(t), "", model.ReadTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := web(t, &targets.Set{HTTPS: []string{c.url}, CA: c.ca})
			want(t, r, c.reason)
			if c.reason == model.TLSUntrusted {
				require.Equal(t, "CN=nestlab test authority", r.Detail.Values["issuer"])
			}
		})
	}
}

// silentServer accepts and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l.Addr().String()
}

// A proxy is used only if the target set says so.
func TestProxy(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(refuses.Close)
	t.Setenv("HTTP_PROXY", refuses.URL)
	t.Setenv("HTTPS_PROXY", refuses.URL)
	// Go uses no proxy for loopback addresses; this one has no route.
	set := func() *targets.Set {
		return &targets.Set{HTTP: []string{"http://192.0.2.200/"}, HTTPS: []string{"https://192.0.2.200/"}, Proxy: targets.ProxyEnvironment}
	}
	for _, r := range observe(t, set(), nil, model.SuiteNetwork) {
		want(t, r, model.ProxyRequired)
	}
	direct := set()
	direct.Proxy = targets.ProxyDirect
	for _, r := range observe(t, direct, nil, model.SuiteNetwork) {
		want(t, r, model.Unreachable)
	}
}

// What a server answers is bounded, and a secret in where it sends to is not kept.
func TestWebAnswersAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Location", "/"+strings.Repeat("a", 32<<10))
		case "/huge":
			w.Header().Set("Location", "/"+strings.Repeat("a", 2<<20))
		default:
			w.Header().Set("Location", "https://user:password@store.test/file?X-Amz-Signature=secret#token")
		}
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(server.Close)
	for path, check := range map[string]func(model.Result){
		"/long": func(r model.Result) {
			require.Equal(t, "302", r.Detail.Values["status"])
			require.LessOrEqual(t, len(r.Detail.Values["location"]), model.MaxValue)
			require.Contains(t, r.Detail.Values["location"], " bytes cut)")
		},
		"/huge":  func(r model.Result) { require.Equal(t, model.ReasonOther, r.Reason, r.Detail.Message) },
		"/store": func(r model.Result) { require.Equal(t, "https://store.test/file", r.Detail.Values["location"]) },
	} {
		check(web(t, &targets.Set{HTTP: []string{"GET " + server.URL + path}}))
	}
}
