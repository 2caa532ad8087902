package internet

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Behavior is how the servers misbehave. The zero value is well-behaved.
type Behavior struct {
	// SilentDNS takes queries and answers none.
	SilentDNS bool `json:"silent_dns,omitempty"`
	// OnlyIPv6 answers questions for IPv4 addresses with no data.
	OnlyIPv6 bool `json:"only_ipv6,omitempty"`
	// Certificate is one of the Certificate constants.
	Certificate string `json:"certificate,omitempty"`
	// Answers replace what requests get; the first that fits is taken.
	Answers []Answer `json:"answers,omitempty"`
}

// The certificates that HTTPS can show.
const (
	CertificateGood    = ""        // of the internet's own authority, valid now
	CertificateForeign = "foreign" // of an authority that nobody here trusts
	CertificateExpired = "expired" // of the own authority, valid until an hour ago
)

// Answer is what requests get that it fits.
type Answer struct {
	// Host and Path, a prefix, say which requests; an empty one fits all.
	Host string `json:"host,omitempty"`
	Path string `json:"path,omitempty"`
	// Status and Body replace the answer, Header is added to it; with a status
	// of 0 the answer is the right one.
	Status int               `json:"status,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	// BytesPerSecond limits how fast the body is sent; 0 is no limit.
	BytesPerSecond int `json:"bytes_per_second,omitempty"`
}

// Conduct is the behavior of running servers, which may change at any time.
type Conduct struct {
	now atomic.Pointer[Behavior]
}

// NewConduct is good behavior.
func NewConduct() *Conduct {
	c := &Conduct{}
	c.now.Store(&Behavior{})
	return c
}

// Set changes the behavior, from the next request on.
func (c *Conduct) Set(b Behavior) { c.now.Store(&b) }

// around lets the behavior answer first.
func (c *Conduct) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, found := c.now.Load().answer(r)
		if !found {
			next.ServeHTTP(w, r)
			return
		}
		for name, value := range a.Header {
			w.Header().Set(name, value)
		}
		if a.BytesPerSecond > 0 {
			w = &slowWriter{ResponseWriter: w, request: r, perSecond: a.BytesPerSecond}
		}
		if a.Status == 0 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
		w.WriteHeader(a.Status)
		write(w, []byte(a.Body))
	})
}

func (b *Behavior) answer(r *http.Request) (Answer, bool) {
	for _, a := range b.Answers {
		if (a.Host == "" || a.Host == hostName(r.Host)) && strings.HasPrefix(r.URL.Path, a.Path) {
			return a, true
		}
	}
	return Answer{}, false
}

// hostName is a Host header without its port; no name here has a colon.
func hostName(host string) string {
	name, _, _ := strings.Cut(host, ":")
	return name
}

// slowWriter sends a body in small pieces.
type slowWriter struct {
	http.ResponseWriter
	request   *http.Request
	perSecond int
}

// pieces is how many pieces a second of a slow body is sent in.
const pieces = 4

func (s *slowWriter) Write(p []byte) (sent int, err error) {
	every := time.NewTicker(time.Second / pieces)
	defer every.Stop()
	for len(p) > 0 {
		n, err := s.ResponseWriter.Write(p[:min(len(p), max(1, s.perSecond/pieces))])
		sent += n
		if err != nil {
			return sent, err
		}
		p = p[n:]
		if err := http.NewResponseController(s.ResponseWriter).Flush(); err != nil {
			return sent, err
		}
		select {
		case <-every.C:
		case <-s.request.Context().Done():
			return sent, s.request.Context().Err()
		}
	}
	return sent, nil
}

// ReadFrom keeps a file from being sent past Write.
func (s *slowWriter) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{s}, r)
}

// certificates are what HTTPS can show, by the Certificate constants.
type certificates map[string]*tls.Certificate

func newCertificates(ca *authority, sites []Site, now time.Time) (certificates, error) {
	foreign, err := newAuthority("inspection CA", now)
	if err != nil {
		return nil, err
	}
	all := certificates{}
	for kind, issue := range map[string]func() (tls.Certificate, error){
		CertificateGood:    func() (tls.Certificate, error) { return ca.issue(sites, ca.certificate.NotAfter) },
		CertificateForeign: func() (tls.Certificate, error) { return foreign.issue(sites, foreign.certificate.NotAfter) },
		CertificateExpired: func() (tls.Certificate, error) { return ca.issue(sites, now.Add(-time.Hour)) },
	} {
		c, err := issue()
		if err != nil {
			return nil, err
		}
		all[kind] = &c
	}
	return all, nil
}

// serve is how TLS asks for the certificate to show now.
func (c *Conduct) serve(all certificates) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if shown, found := all[c.now.Load().Certificate]; found {
			return shown, nil
		}
		return all[CertificateGood], nil
	}
}
