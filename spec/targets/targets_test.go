package targets_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

const head = "version: 1\nname: x\n"

func TestBuiltin(t *testing.T) {
	t.Parallel()
	for _, name := range targets.Names() {
		set, err := targets.Builtin(name)
		require.NoError(t, err)
		require.Equal(t, name, set.Name)
		// The doctor installs and runs nothing.
		require.Equal(t, name == targets.Doctor, set.Apt == nil)
		require.Equal(t, name == targets.Doctor, set.Docker == nil)
	}
	// The simulated internet answers no ping, whatever the platform is called.
	set, err := targets.Builtin(targets.Simulated)
	require.NoError(t, err)
	require.Equal(t, model.ProbeICMP, set.Expect[0].Probe)
	require.ElementsMatch(t, model.Platforms(), set.Expect[0].Platforms)
	_, err = targets.Builtin("nope")
	require.ErrorContains(t, err, `unknown target set "nope"; built in: live, doctor, simulated`)
}

// A set that is written is the one that is read, its certificates included.
func TestTargetsWrittenAndRead(t *testing.T) {
	t.Parallel()
	set, err := targets.Builtin(targets.Simulated)
	require.NoError(t, err)
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pem := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	withCA := set.WithCA([]byte(pem)).WithDeadlines(map[string]time.Duration{targets.DeadlineConnect: 3 * time.Second})
	require.Empty(t, set.CA)
	require.Equal(t, 5*time.Second, set.Deadline(targets.DeadlineConnect))
	text, err := withCA.Encode()
	require.NoError(t, err)
	again, err := targets.Parse(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, withCA, again)
	require.Equal(t, pem, again.CA)
	require.Equal(t, 3*time.Second, again.Deadline(targets.DeadlineConnect))
	require.Equal(t, pem+pem, again.WithCA([]byte(pem)).CA)
}

// Every refusal names what is wrong and what to write.
func TestTargetsRefused(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string]string{
		"":                        "it is empty; begin with",
		"- a":                     "it is no mapping",
		"a: [":                    "it is not YAML",
		"name: x":                 "version is 0; write",
		"version: 2\nname: x":     "version is 2; write",
		"version: 1":              "name \"\" is no name",
		"version: 1\nname: ../x":  "is no name",
		head + "---\n" + head:     "more than one document",
		head + "dnss: [a]":        `line 3: unknown field "dnss"; known here: apt, ca, deadlines, dns`,
		head + "dns: a":           "line 3: dns must be a list",
		head + "dns: [[a]]":       "line 3: dns[0] must be one value, not a list",
		head + "dns: [1]":         "line 3: dns[0] must be a string, not \"1\"; quote it",
		head + "dns: [null]":      "dns[0] must be one value, not nothing",
		head + "dns:\n - a b":     "dns[0] \"a b\" is no host name; write one such as",
		head + "dns: ['-x.test']": "is no host name",
		head + "dns: &a [x]":      "line 3: dns uses an anchor",
		head + "dns: *a":          "not YAML",
		head + "name: y":          `line 3: field "name" is there twice`,
	} {
		refused(t, text, wants)
	}
}

func TestTargetsWithWrongValues(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string]string{
		head + "tcp: [host]":                                    "tcp[0] \"host\" is not HOST:PORT",
		head + "tcp: ['h:0']":                                   "is not HOST:PORT",
		head + "tcp: ['h:70000']":                               "is not HOST:PORT",
		head + "icmp: ['a;b']":                                  "icmp[0] \"a;b\" is neither",
		head + "http: ['https://x/']":                           "http[0] \"https://x/\" cannot be probed; write a URL that begins with http://",
		head + "https: ['POST https://x/']":                     "https[0]",
		head + "http: ['http://u:p@x/']":                        "http[0]",
		head + "http: [\"http://x/\\r\\nHost: y\"]":             "http[0]",
		head + "path_mtu: [{url: 'ftp://x'}]":                   "path_mtu[0]: url and sink must begin with http://",
		head + "path_mtu: [{url: 'http://x', bytes: 99999999}]": "path_mtu[0].bytes is 99999999",
		head + "path_mtu: [{url: 'http://x', bytes: many}]":     "path_mtu[0].bytes must be a int",
		head + "path_mtu: [{uri: 'http://x'}]":                  `unknown field "path_mtu[0].uri"`,
		head + "apt: {}":                                        "apt.packages is empty",
		head + "apt: {packages: ['-oX=y']}":                     "apt.packages[0] \"-oX=y\" is no package name",
		head + "apt: {packages: [hello], sources: [\"deb http://x/ y\\ndeb http://z/ y\"]}": "apt.sources[0]",
		head + "docker: {image: 'UPPER CASE'}":                                              "docker.image \"UPPER CASE\" cannot be pulled",
		head + "docker: {image: x}":                                                         "docker.image \"x\" cannot be pulled",
		head + "docker: {image: xx, keep: maybe}":                                           "docker.keep must be a bool",
		head + "proxy: sometimes":                                                           "proxy is \"sometimes\"; write direct, environment or a URL",
		head + "ca: hello":                                                                  "ca holds no PEM certificate",
		head + "deadlines: {x: 5s}":                                                         "deadlines: unknown probe \"x\"; known: apt-install",
		head + "deadlines: {http: 5}":                                                       "\"5\" is no duration; write one such as",
		head + "deadlines: {http: -5s}":                                                     "deadlines.http is -5s; write something from",
		head + "deadlines: {http: 5h}":                                                      "deadlines.http is 5h0m0s",
		head + "expect: [{probe: x, platforms: [azure], why: y}]":                           "expect[0].probe \"x\" is unknown",
		head + "expect: [{probe: http, platforms: [moon], why: y}]":                         "expect[0].platforms: \"moon\" is unknown; known: azure",
		head + "expect: [{probe: http, platforms: [azure]}]":                                "platforms and why must be given",
		head + "dns: [" + strings.Repeat("x,", 40) + "]":                                    "dns has 40 entries; list at most 32",
		head + "dns: [" + strings.Repeat("x", 5000) + "]":                                   "longer than 4096 bytes",
		head + "#" + strings.Repeat("x", 300<<10):                                           "larger than 256 KiB",
	} {
		refused(t, text, wants)
	}
}

func refused(t *testing.T, text, wants string) {
	t.Helper()
	_, err := targets.Parse(strings.NewReader(text))
	require.ErrorContains(t, err, wants, "for %.80q", text)
	require.Less(t, len(err.Error()), 700, "an error should be short")
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	set, err := targets.Parse(strings.NewReader(head + "deadlines: {http: 7s}"))
	require.NoError(t, err)
	require.Equal(t, 7*time.Second, set.Deadline(model.ProbeHTTP))
	for _, name := range model.Probes() {
		if name != model.ProbeStart {
			require.Positive(t, set.Deadline(name), name)
		}
	}
}

// FuzzParseTargets: whatever comes in, either an error or a set that can be
// written and read again.
func FuzzParseTargets(f *testing.F) {
	for _, name := range targets.Names() {
		set, err := targets.Builtin(name)
		require.NoError(f, err)
		text, err := set.Encode()
		require.NoError(f, err)
		f.Add(string(text))
	}
	for _, s := range []string{
		"", "a: &a [*a]", head, head + "deadlines: {connect: 1s}\nproxy: environment", head + "<<: {dns: [x]}",
		head + "dns: !!binary aGk=", head + "? {a: b}\n: c", head + "apt: ~", head + "docker: {image: x, command: [\"\\x00\"]}",
		fmt.Sprint("a: ", strings.Repeat("[", 2000)),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := targets.Parse(strings.NewReader(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\x00")
			return
		}
		written, err := set.Encode()
		require.NoError(t, err)
		again, err := targets.Parse(bytes.NewReader(written))
		require.NoError(t, err, "written as:\n%s", written)
		require.Equal(t, set.Name, again.Name)
		for _, name := range model.Probes() {
			require.Equal(t, set.Deadline(name), again.Deadline(name))
		}
	})
}
