package dind

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
)

func served(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDownload(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	url := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch n := asked.Add(1); {
		case r.URL.Path == "/none":
			http.NotFound(w, r)
		case r.URL.Path == "/late" && n == 1:
			w.Header().Set("Content-Length", "40")
			_, _ = w.Write([]byte("what comes of it is cut"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/stuck":
			w.Header().Set("Content-Length", "5")
			_, _ = w.Write([]byte("te"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte("text"))
		}
	})
	in := Install{Timeout: 5 * time.Second}
	hash := sha256.Sum256([]byte("text"))
	path, err := in.download(t.Context(), url+"/late", 40, strings.ToUpper(hex.EncodeToString(hash[:])))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "text", string(text), "what came of the second try alone")
	require.NoError(t, os.Remove(path))

	_, err = in.download(t.Context(), url+"/text", 4, strings.Repeat("0", 64))
	require.ErrorContains(t, err, "it is another file than was reviewed")
	_, err = in.download(t.Context(), url+"/text", 3, "")
	require.ErrorContains(t, err, "more than 3 bytes")
	asked.Store(0)
	_, err = in.download(t.Context(), url+"/none", 4, "")
	require.ErrorContains(t, err, "404")
	require.Equal(t, int32(1), asked.Load(), "what is not there is not asked for again")
	in.Timeout, in.Once = 200*time.Millisecond, true
	_, err = in.download(t.Context(), url+"/stuck", 5, "")
	require.ErrorContains(t, err, "nothing more came for 200ms")
}

// The script is not run, and no program is placed, where the checksum is another.
func TestNothingRunsUnchecked(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	url := served(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("#!/bin/sh\ntouch " + ran + "\n")) })
	in := Install{Origin: spec.Origin{Method: spec.Script, Script: url, Checksum: strings.Repeat("0", 64)}}
	require.ErrorContains(t, in.Run(t.Context()), "install Docker by method script: the SHA-256 of "+url)
	require.NoFileExists(t, ran)
}

func armoredKeys(t *testing.T, n int) (text []byte, fingerprint string) {
	t.Helper()
	var buf bytes.Buffer
	w, err := armor.Encode(&buf, openpgp.PublicKeyType, nil)
	require.NoError(t, err)
	for range n {
		key, err := openpgp.NewEntity("vendor", "", "vendor@lab.test", nil)
		require.NoError(t, err)
		require.NoError(t, key.Serialize(w))
		fingerprint = strings.ToUpper(hex.EncodeToString(key.PrimaryKey.Fingerprint))
	}
	require.NoError(t, w.Close())
	return buf.Bytes(), fingerprint
}

func TestPinnedKey(t *testing.T) {
	t.Parallel()
	one, fingerprint := armoredKeys(t, 1)
	kept, err := pinnedKey(one, strings.ToLower(fingerprint))
	require.NoError(t, err)
	foreign, _ := armoredKeys(t, 1)
	same, err := pinnedKey(append(append(slices.Clone(one), '\n'), foreign...), fingerprint)
	require.NoError(t, err)
	require.Equal(t, kept, same, "a second block is not read, and not handed on")
	_, err = pinnedKey(one, spec.VendorFingerprint)
	require.ErrorContains(t, err, "its fingerprint is "+fingerprint+", not "+spec.VendorFingerprint)
	two, fingerprint := armoredKeys(t, 2)
	_, err = pinnedKey(two, fingerprint)
	require.ErrorContains(t, err, "it has 2 keys")
	_, err = pinnedKey([]byte("<html>"), fingerprint)
	require.ErrorContains(t, err, "no armored OpenPGP key")
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	archive := func(heads ...tar.Header) *bytes.Buffer {
		var buf bytes.Buffer
		zipped := gzip.NewWriter(&buf)
		w := tar.NewWriter(zipped)
		for _, h := range heads {
			content := "content"[:h.Size]
			require.NoError(t, w.WriteHeader(&h))
			_, err := w.Write([]byte(content))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.NoError(t, zipped.Close())
		return &buf
	}
	dir := t.TempDir()
	require.NoError(t, unpack(archive(tar.Header{Typeflag: tar.TypeDir, Name: "docker/"}, tar.Header{Typeflag: tar.TypeReg, Name: "docker/dockerd", Size: 7}), dir))
	info, err := os.Stat(filepath.Join(dir, "dockerd"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	for want, h := range map[string]tar.Header{
		`"../evil"`:          {Typeflag: tar.TypeReg, Name: "../evil", Size: 1},
		`"docker/../../x"`:   {Typeflag: tar.TypeReg, Name: "docker/../../x", Size: 1},
		`"docker/link"`:      {Typeflag: tar.TypeSymlink, Name: "docker/link", Linkname: "/etc/passwd"},
		`"docker/sub/x"`:     {Typeflag: tar.TypeReg, Name: "docker/sub/x", Size: 1},
		"it has no programs": {Typeflag: tar.TypeDir, Name: "docker/"},
	} {
		require.ErrorContains(t, unpack(archive(h), dir), want)
	}
	require.Error(t, unpack(strings.NewReader("no archive"), dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestVendorVersion(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "28.5.2": "5:28.5.2-*", "5:28.5.2-1~debian.12~bookworm": "5:28.5.2-1~debian.12~bookworm",
	} {
		require.Equal(t, want, vendorVersion(given))
	}
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "os-release")
	require.NoError(t, os.WriteFile(path, []byte("ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME='noble'\n"), 0o644))
	id, codename, err := distribution(path)
	require.NoError(t, err)
	require.Equal(t, "ubuntu noble", id+" "+codename)
	require.NoError(t, os.WriteFile(path, []byte("ID=arch\n"), 0o644))
	_, _, err = distribution(path)
	require.ErrorContains(t, err, "VERSION_CODENAME")
}
