package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// maxBody is how much of an answer is read.
const maxBody = 1 << 20

// probeWeb asks for one URL, "GET URL" or "HEAD URL"; redirects are answers. What IPv6
// answers is asked for by IPv4 as well: what drops the pages of one family shows nowhere else.
func probeWeb(ctx context.Context, e *env, target string) observation {
	method, u := targets.SplitMethod(target)
	d := e.dialer()
	o := e.fetch(ctx, d, method, u)
	four := d.inIPv4()
	if o.reason != "" || four == nil || e.proxied() {
		return o
	}
	return o.also(e.fetch(ctx, four, method, u), d, four)
}

// also is an observation by IPv6 with that by IPv4, which tells more where it failed.
func (o observation) also(by observation, six, four *dialer) observation {
	o.dials = append(o.dials, by.dials...)
	if by.reason == "" {
		o.values["by"] = six.won.String() + " " + four.won.String()
		return o
	}
	by.dials = o.dials
	by.err = fmt.Errorf("by IPv4 alone, as %s answers: %w", six.won, by.err)
	return by
}

// proxied reports whether web requests may go by a proxy.
func (e *env) proxied() bool {
	proxy, err := e.targets.ProxyFunc()
	return err != nil || proxy != nil
}

// fetch makes one request and reads the answer.
func (e *env) fetch(ctx context.Context, d *dialer, method, u string) observation {
	proxy, err := e.targets.ProxyFunc()
	if err != nil {
		return observation{outcome: model.Error, reason: model.ReasonOther, err: err}
	}
	return e.fetchBy(ctx, d, proxy, method, u)
}

// fetchBy is fetch by a proxy, if it names one.
func (e *env) fetchBy(ctx context.Context, d *dialer, proxy func(*http.Request) (*url.URL, error), method, u string) observation {
	client, err := e.webClient(d.within(ctx))
	if err != nil {
		return observation{outcome: model.Error, reason: model.ReasonOther, err: err}
	}
	if by, ok := client.Transport.(*http.Transport); ok {
		by.Proxy = proxy
	}
	defer client.CloseIdleConnections()
	steps := newSteps()
	request, end := untimed(ctx)
	defer end()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(request, steps.trace()), method, u, nil)
	if err != nil {
		return observation{outcome: model.Error, reason: model.ReasonOther, err: fmt.Errorf("make a request for %s: %w", u, err)}
	}
	req.Header.Set("User-Agent", "nestlab")
	o := doRequest(client, req)
	o.dials = d.tried()
	steps.into(o.values)
	return o
}

func doRequest(client *http.Client, req *http.Request) observation {
	o := observation{values: map[string]string{}}
	resp, err := client.Do(req)
	if err != nil {
		o.err = fmt.Errorf("ask for the URL: %w", err)
		o.reason = classifyWeb(err)
		issuerInto(err, o.values)
		return o
	}
	defer closeQuietly(resp.Body)
	o.values["status"] = strconv.Itoa(resp.StatusCode)
	o.values["server"] = resp.Header.Get("Server")
	o.values["location"] = withoutSecrets(resp.Header.Get("Location"))
	n, err := drainBody(resp, maxBody)
	o.values["bytes"] = strconv.FormatInt(n, 10)
	if o.reason = ClassifyStatus(resp.StatusCode); o.reason != "" {
		o.err = fmt.Errorf("ask for %s: status %s", req.URL, resp.Status)
		return o
	}
	if err != nil {
		o.err = fmt.Errorf("read the answer of %s after %d bytes: %w", req.URL, n, err)
		o.reason = classifyWeb(err)
	}
	return o
}

// withoutSecrets is a URL less what may be a secret in it: user, signatures, tokens.
func withoutSecrets(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "(no URL)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	return u.String()
}

// classifyWeb is Classify for a request: a timeout that is not one of
// connecting happened while something was awaited from the server.
func classifyWeb(err error) model.Reason {
	reason := Classify(err)
	switch {
	case reason == model.DeadlineExceeded:
		return model.ReadTimeout
	case reason == model.ReasonOther && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
		return model.Refused // closed without an answer
	}
	return reason
}

// issuerInto notes who signed a certificate that was not trusted: it is how a
// proxy that opens TLS shows.
func issuerInto(err error, values map[string]string) {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
		leaf := verify.UnverifiedCertificates[0]
		values["issuer"] = leaf.Issuer.String()
		values["subject"] = leaf.Subject.String()
		values["not_after"] = leaf.NotAfter.UTC().Format(time.RFC3339)
	}
}

func (e *env) webClient(dial func(context.Context, string, string) (net.Conn, error)) (*http.Client, error) {
	pool, err := e.pool()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:       dial,
		TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
		// A server's answer is bounded, as its body is.
		MaxResponseHeaderBytes: 64 << 10,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, connect *http.Response) error {
			if reason := ClassifyStatus(connect.StatusCode); reason != "" {
				return failure(reason, fmt.Errorf("the proxy answered %s", connect.Status))
			}
			return nil
		},
	}
	if transport.Proxy, err = e.targets.ProxyFunc(); err != nil {
		return nil, err
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// pool is what is trusted: the system's certificates and the target set's. An
// environment without any has an empty pool, and what follows is tls-untrusted.
func (e *env) pool() (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if e.targets.CA != "" && !pool.AppendCertsFromPEM([]byte(e.targets.CA)) {
		return nil, errors.New("read the target set's ca: no PEM certificate in it")
	}
	return pool, nil
}

// steps times the parts of a request.
type steps struct {
	mu    sync.Mutex
	begin time.Time
	took  map[string]string
}

func newSteps() *steps { return &steps{begin: time.Now(), took: map[string]string{}} }

func (s *steps) mark(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[name] = strconv.FormatInt(time.Since(s.begin).Milliseconds(), 10)
}

func (s *steps) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		TLSHandshakeStart:    func() { s.mark("connected_ms") },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { s.mark("tls_ms") },
		GotFirstResponseByte: func() { s.mark("first_byte_ms") },
	}
}

func (s *steps) into(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.took {
		values[k] = v
	}
}
