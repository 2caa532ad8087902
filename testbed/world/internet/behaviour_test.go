package internet_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world/internet"
)

// behaving is a running internet with what changes its behavior.
func behaving(t *testing.T) (*served, *internet.Conduct) {
	t.Helper()
	c := newConfig(t)
	c.AptRepository = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(c.AptRepository, "Release"), make([]byte, 4000), 0o644))
	c.Conduct = internet.NewConduct()
	return serve(t, c), c.Conduct
}

func TestAnswersReplaceWhatFits(t *testing.T) {
	t.Parallel()
	s, conduct := behaving(t)
	conduct.Set(internet.Behavior{Answers: []internet.Answer{
		{Host: internet.Archive, Path: "/debian/", Status: http.StatusServiceUnavailable, Body: "down"},
		{Host: internet.Registry, Path: "/v2/library", Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "60"}},
	}})
	for url, want := range map[string]int{
		"http://archive.lab.test/debian/Release":          http.StatusServiceUnavailable,
		"http://archive.lab.test:80/debian/Release":       http.StatusServiceUnavailable,
		"http://archive.lab.test/":                        http.StatusOK,
		"http://download.lab.test/":                       http.StatusOK,
		"https://registry.lab.test/v2/":                   http.StatusOK,
		"https://registry.lab.test/v2/library/a/tags/b":   http.StatusTooManyRequests,
		"https://download.lab.test/v2/library/a/tags/b":   http.StatusNotFound,
		"https://registry.lab.test/v2/other/manifests/no": http.StatusNotFound,
	} {
		status, _ := s.get(t, url)
		require.Equal(t, want, status, url)
	}
	answer, err := s.client.Get("https://registry.lab.test/v2/library/x")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "60", answer.Header.Get("Retry-After"))

	conduct.Set(internet.Behavior{})
	status, body := s.get(t, "http://archive.lab.test/debian/Release")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, body, 4000)
}

func TestSlowAnswersAreWholeAndSlow(t *testing.T) {
	t.Parallel()
	s, conduct := behaving(t)
	conduct.Set(internet.Behavior{Answers: []internet.Answer{{Path: "/debian/", BytesPerSecond: 8000}}})
	begin := time.Now()
	status, body := s.get(t, "http://archive.lab.test/debian/Release")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, body, 4000)
	require.Greater(t, time.Since(begin), 200*time.Millisecond, "two pieces, a quarter of a second apart")
}

func TestCertificatesChange(t *testing.T) {
	t.Parallel()
	s, conduct := behaving(t)
	const url = "https://download.lab.test/"
	for _, step := range []struct{ certificate, fails string }{
		{internet.CertificateGood, ""},
		{internet.CertificateForeign, "unknown authority"},
		{internet.CertificateExpired, "expired"},
		{internet.CertificateGood, ""},
	} {
		conduct.Set(internet.Behavior{Certificate: step.certificate})
		s.client.CloseIdleConnections()
		answer, err := s.client.Get(url)
		if step.fails != "" {
			require.ErrorContains(t, err, step.fails)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
	}
}

func TestResolverMisbehaves(t *testing.T) {
	t.Parallel()
	s, conduct := behaving(t)
	at := net.JoinHostPort(s.address.String(), "53")
	ask := func(network string) (*dns.Msg, error) {
		c := &dns.Client{Net: network, Timeout: 300 * time.Millisecond}
		reply, _, err := c.Exchange(new(dns.Msg).SetQuestion("archive.lab.test.", dns.TypeA), at)
		return reply, err
	}
	for _, network := range []string{"udp", "tcp"} {
		conduct.Set(internet.Behavior{})
		reply, err := ask(network)
		require.NoError(t, err)
		require.Len(t, reply.Answer, 1)

		conduct.Set(internet.Behavior{OnlyIPv6: true})
		reply, err = ask(network)
		require.NoError(t, err)
		require.Equal(t, dns.RcodeSuccess, reply.Rcode, "the name is there")
		require.Empty(t, reply.Answer)

		conduct.Set(internet.Behavior{SilentDNS: true})
		_, err = ask(network)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
	}
}
