package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const stanzas = `# the archive
Types: deb deb-src
URIs: http://one.test/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://two.test/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
Enabled: no
URIs: http://off.test/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://other.test/node
Suites: nodistro
Components: main
`

func TestSourcesAreTheMachinesOwn(t *testing.T) {
	t.Parallel()
	const keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
	for name, x := range map[string]struct {
		release string
		files   map[string]string
		want    []string
		err     string
	}{
		"stanzas": {"ID=debian\nVERSION_CODENAME=bookworm\n", map[string]string{"sources.list.d/debian.sources": stanzas}, []string{
			"deb " + keyring + "http://one.test/debian bookworm main",
			"deb " + keyring + "http://one.test/debian bookworm-updates main",
			"deb http://two.test/security bookworm-security main"}, ""},
		"one-line, another release": {"ID=debian\nVERSION_CODENAME=\"trixie\"\n", map[string]string{
			"sources.list": "deb-src http://s.test trixie main\n#deb http://no.test trixie main\n" +
				"deb [arch=amd64 trusted=yes] http://m.test/debian trixie main contrib # x\ndeb http://m.test/debian trixie\n"},
			[]string{"deb [trusted=yes] http://m.test/debian bookworm main"}, ""},
		"said twice": {"ID=debian\nVERSION_CODENAME=bookworm\n", map[string]string{
			"sources.list": "deb http://m.test/debian bookworm main\n", "sources.list.d/x.list": "deb http://m.test/debian bookworm main\n"},
			[]string{"deb http://m.test/debian bookworm main"}, ""},
		"no sources":   {"ID=debian\nVERSION_CODENAME=bookworm\n", nil, nil, "name no Debian archive"},
		"other system": {"ID=ubuntu\nPRETTY_NAME=\"Ubuntu 24.04\"\nVERSION_CODENAME=noble\n", nil, nil, `this machine is "Ubuntu 24.04"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etc := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(etc, "apt/sources.list.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(etc, "os-release"), []byte(x.release), 0o644))
			for f, content := range x.files {
				require.NoError(t, os.WriteFile(filepath.Join(etc, "apt", f), []byte(content), 0o644))
			}
			lines, err := debianSources(etc)
			require.Equal(t, x.want, lines)
			if x.err != "" {
				require.ErrorContains(t, err, x.err)
				return
			}
			require.NoError(t, err)
		})
	}
}

// FuzzSources: whatever a file holds, a source that comes out is one line that
// reads back as the same source.
func FuzzSources(f *testing.F) {
	for _, s := range []string{stanzas, "deb http://a.test b main", "deb [signed-by=/k.gpg] http://a.test ./ main\n", "deb [", "deb\t[] a b c",
		"types: deb\nuris: a\n b\nsuites: c\ncomponents: d", "Types: deb\n\n\nURIs", " x\n:\n#\r\n", "debx http://a b c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range append(parseDeb822(text), parseOneLine(text)...) {
			if strings.ContainsAny(s.uri+s.suite+strings.Join(s.components, ""), "#[]") || strings.ContainsAny(s.line(), "#") {
				continue // these words mean something else in the other style
			}
			require.NotContains(t, s.line(), "\n")
			require.Equal(t, []source{s}, parseOneLine(s.line()))
		}
	})
}
