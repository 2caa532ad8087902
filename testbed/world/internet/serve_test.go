package internet_test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	block, rest := pem.Decode(data)
	require.NotNil(t, block)
	require.Empty(t, rest)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

func TestServeNamesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	busy := newConfig(t)
	l, err := net.Listen("tcp", net.JoinHostPort(busy.Resolver.String(), "443"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	for _, test := range []struct {
		name   string
		change func(*internet.Config)
		want   []string
	}{
		{"no resolver", func(c *internet.Config) { c.Resolver = netip.Addr{} }, []string{"no resolver address"}},
		{"no sites", func(c *internet.Config) { c.Sites = nil }, []string{"no sites"}},
		{"no state", func(c *internet.Config) { c.State = "" }, []string{"no state directory"}},
		{"IPv6 for IPv4", func(c *internet.Config) { c.Sites[1].IPv4 = netip.MustParseAddr("::1") }, []string{"download.lab.test", "IPv4"}},
		{"address of others", func(c *internet.Config) { c.Resolver = netip.MustParseAddr("192.0.2.1") }, []string{"udp 192.0.2.1:53"}},
		{"site of others", func(c *internet.Config) { c.Sites[2].IPv4 = netip.MustParseAddr("192.0.2.2") }, []string{"tcp 192.0.2.2:80"}},
		{"port taken", func(c *internet.Config) { c.Sites = busy.Sites }, []string{"tcp " + busy.Resolver.String() + ":443", "in use"}},
		{"authority nowhere", func(c *internet.Config) { c.CAFile = "/nowhere/ca.pem" }, []string{"/nowhere/ca.pem"}},
		{"no repository", func(c *internet.Config) { c.AptRepository = "/nowhere/apt" }, []string{"/nowhere/apt", "apt-repo"}},
		{"no image", func(c *internet.Config) {
			c.Images = []internet.Image{{Reference: "library/a:1", Archive: "/nowhere/a.tar"}}
		}, []string{"library/a:1", "/nowhere/a.tar"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newConfig(t)
			test.change(&c)
			c.Ready = func() { t.Error("ready all the same") }
			ctx := await.Context(t)
			err := internet.Serve(ctx, c)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NoError(t, ctx.Err())
		})
	}
}

// After an error or an end every port is free for the next.
func TestServeLeavesItsPorts(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	for range 3 {
		require.NoError(t, serve(t, c).stop())
	}
	broken := c
	broken.Sites = append(internet.SitesAt(c.Resolver), internet.Site{Name: "a.lab.test", IPv4: netip.MustParseAddr("192.0.2.3")})
	require.ErrorContains(t, internet.Serve(t.Context(), broken), "192.0.2.3")
	require.NoError(t, serve(t, c).stop())
}

// A client that never ends does not keep the servers alive.
func TestServeEndsUnderLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	answer, err := s.client.Get("http://archive.lab.test/blob/67108864")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	idle, err := net.Dial("tcp", net.JoinHostPort(s.address.String(), "53"))
	require.NoError(t, err)
	defer idle.Close()
	require.NoError(t, s.stop())
	_, err = io.ReadAll(answer.Body)
	require.Error(t, err, "the body was cut, and the client can tell")
}

func TestOwnAddressIsNotLoopback(t *testing.T) {
	t.Parallel()
	_, err := internet.OwnAddress() // these tests run where there is loopback alone
	require.ErrorContains(t, err, "--address")
}

func TestSitesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[netip.Addr]bool{internet.Resolver: true, internet.Gateway: true}
	for _, s := range internet.Sites(true) {
		require.True(t, internet.Network.Contains(s.IPv4), s.Name)
		require.False(t, seen[s.IPv4], s.Name)
		require.True(t, s.IPv6.Is6(), s.Name)
		seen[s.IPv4] = true
	}
	for _, s := range internet.Sites(false) {
		require.False(t, s.IPv6.IsValid(), s.Name)
	}
}

func TestStateHoldsTheRegistry(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	require.DirExists(t, filepath.Join(s.config.State, "registry"))
}
