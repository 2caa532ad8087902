package main

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// tinyMirror serves one image of two layers under two tags.
func tinyMirror(t *testing.T) *mirror {
	t.Helper()
	c := cache{dir: t.TempDir()}
	require.NoError(t, c.prepare())
	var layers []string
	for _, l := range []string{"roots/base.tar", "sdk/layer.tar"} {
		// An empty tar file is two blocks of zeroes; a third makes the second one another.
		require.NoError(t, os.WriteFile(c.path(l), make([]byte, 1024+512*len(layers)), 0o644))
		layers = append(layers, l)
	}
	to, err := layout.Write(c.path("images"), empty.Index)
	require.NoError(t, err)
	require.NoError(t, c.addImage(to, image{
		tags: []string{"library/debian:bookworm", "team/tool:1"}, layers: layers,
		env: []string{plainPath}, workdir: "/w", labels: map[string]string{standInLabel: "ubuntu"},
	}, "amd64"))
	m, err := newMirror(c.path("images"), log.New(io.Discard, "", 0))
	require.NoError(t, err)
	return m
}

func TestTheMirrorGivesImagesByTagAndDigest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(tinyMirror(t))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(host + "/library/debian:bookworm")
	require.NoError(t, err)
	img, err := remote.Image(ref)
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 2)
	for i, l := range layers {
		blob, err := l.Compressed() // its reader compares the digest
		require.NoError(t, err)
		got, err := io.ReadAll(blob)
		require.NoError(t, err)
		require.Len(t, got, 1024+512*i)
	}
	config, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "/w", config.Config.WorkingDir)
	require.Equal(t, "ubuntu", config.Config.Labels[standInLabel])
	digest, err := img.Digest()
	require.NoError(t, err)
	byDigest, err := name.ParseReference(host + "/team/tool@" + digest.String())
	require.NoError(t, err)
	_, err = remote.Image(byDigest)
	require.NoError(t, err)
}

func TestTheMirrorStoresALayerOnce(t *testing.T) {
	t.Parallel()
	c := cache{dir: t.TempDir()}
	require.NoError(t, c.prepare())
	require.NoError(t, os.WriteFile(c.path("roots/base.tar"), make([]byte, 1<<20), 0o644))
	to, err := layout.Write(c.path("images"), empty.Index)
	require.NoError(t, err)
	require.NoError(t, c.addImage(to, image{tags: []string{"a:1", "b:2"}, layers: []string{"roots/base.tar"}}, "amd64"))
	used, err := size(c.dir)
	require.NoError(t, err)
	require.Less(t, used, int64(3<<19), "one megabyte and the manifests")
}

func TestTheMirrorRefusesByName(t *testing.T) {
	t.Parallel()
	m := tinyMirror(t)
	const has = "; it has: debian:bookworm, team/tool:1"
	for target, want := range map[string]string{
		"http://registry-1.docker.io/v2/nosuch/image/manifests/1":             "nestlab's mirror does not have nosuch/image:1" + has,
		"http://registry-1.docker.io/v2/library/debian/manifests/sid":         "nestlab's mirror does not have debian:sid" + has,
		"http://registry-1.docker.io/v2/library/debian/manifests/sha256:00":   "nestlab's mirror does not have debian@sha256:00" + has,
		"http://quay.io/v2/library/debian/manifests/bookworm":                 "nestlab's mirror does not have quay.io/library/debian:bookworm" + has,
		"http://127.0.0.1:5/v2/library/debian/manifests/bookworm?ns=foo.test": "nestlab's mirror does not have foo.test/library/debian:bookworm" + has,
	} {
		answer := httptest.NewRecorder()
		m.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, nil))
		require.Equal(t, http.StatusNotFound, answer.Code, target)
		require.Contains(t, answer.Body.String(), want, target)
		require.Contains(t, answer.Body.String(), `"code":"MANIFEST_UNKNOWN"`)
	}
}

func TestTheMirrorIsReadOnly(t *testing.T) {
	t.Parallel()
	m := tinyMirror(t)
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		answer := httptest.NewRecorder()
		m.ServeHTTP(answer, httptest.NewRequest(method, "/v2/library/debian/manifests/bookworm", strings.NewReader("{}")))
		require.Equal(t, http.StatusMethodNotAllowed, answer.Code, method)
	}
	answer := httptest.NewRecorder()
	m.ServeHTTP(answer, httptest.NewRequest(http.MethodHead, "/v2/library/debian/manifests/bookworm", nil))
	require.Equal(t, http.StatusOK, answer.Code)
}

// An engine shows the status line of a refusal, and nothing of its body.
func TestTheEngineIsToldInTheStatusLine(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(tinyMirror(t).outspoken())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "HEAD /v2/nosuch/%0d%0aimage/manifests/1 HTTP/1.1\r\nHost: registry-1.docker.io\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodHead})
	require.NoError(t, err)
	require.Equal(t, "403 nestlab's mirror does not have nosuch/??image:1; it has: debian:bookworm, team/tool:1", resp.Status)

	found, err := http.Get(server.URL + "/v2/library/debian/manifests/bookworm")
	require.NoError(t, err)
	require.NoError(t, found.Body.Close())
	require.Equal(t, http.StatusOK, found.StatusCode)
}

func TestEveryRegistryOfTheMirrorLeadsTheEngineToIt(t *testing.T) {
	t.Parallel()
	config, err := engineConfig()
	require.NoError(t, err)
	for _, host := range mirroredRegistries {
		require.Contains(t, config, `"`+host+`": {`)
		require.Contains(t, strings.Fields(hostsFile()), host)
	}
	require.Contains(t, strings.Fields(hostsFile()), dockerHubHost)
	require.Contains(t, config, `"maxUsedSpace": "25GB"`, "the README says so")
	require.NotContains(t, config, "mirrors", "a mirror in the engine's sense has the public registry behind it")
}

func TestAMirrorNeedsItsImages(t *testing.T) {
	t.Parallel()
	_, err := newMirror(filepath.Join(t.TempDir(), "nothing"), log.Default())
	require.ErrorContains(t, err, "open the images in")
}
