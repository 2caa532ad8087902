// Package targets holds what probes are aimed at: the built-in sets, and how one is read
// from YAML and checked. It is pure.
package targets

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/nestlab/nestlab/model"
)

// Set is what a suite is aimed at: the same set for every environment of a
// run. It is read from YAML by Parse, or built in (Builtin).
type Set struct {
	// Version is the version of this format: 1.
	Version int    `yaml:"version"`
	Name    string `yaml:"name"`
	// Proxy is direct (the default), environment (honour HTTP_PROXY, HTTPS_PROXY
	// and NO_PROXY) or the URL of one, as in http://192.0.2.1:3128.
	Proxy string `yaml:"proxy,omitempty"`
	// Deadlines by the name of a probe, and DeadlineConnect for one TCP connection.
	Deadlines map[string]Duration `yaml:"deadlines,omitempty"`

	DNS   []string `yaml:"dns,omitempty"`   // names
	TCP   []string `yaml:"tcp,omitempty"`   // HOST:PORT
	HTTP  []string `yaml:"http,omitempty"`  // URLs, with GET or HEAD before them; GET if none
	HTTPS []string `yaml:"https,omitempty"` // the same
	ICMP  []string `yaml:"icmp,omitempty"`  // names or addresses

	PathMTU []PathMTU `yaml:"path_mtu,omitempty"`
	Apt     *Apt      `yaml:"apt,omitempty"`
	Docker  *Docker   `yaml:"docker,omitempty"`

	// CA are PEM certificates that are trusted beside the system's.
	CA string `yaml:"ca,omitempty"`
	// Expect lists failures that are no news on a platform.
	Expect []Expectation `yaml:"expect,omitempty"`
}

// PathMTU is an HTTP URL whose answer is large.
type PathMTU struct {
	URL string `yaml:"url"`
	// Bytes is the size of the answer to wait for, and of the body that is sent
	// to Sink; 64 KiB if not given.
	Bytes int `yaml:"bytes,omitempty"`
	// Sink takes a POST of Bytes bytes; not tried if empty.
	Sink string `yaml:"sink,omitempty"`
}

// Apt is what apt-get is asked to do.
type Apt struct {
	// Sources are one-line sources.list entries; the environment's own if none.
	Sources  []string `yaml:"sources,omitempty"`
	Packages []string `yaml:"packages"`
}

// Docker is what the Docker daemon is asked to do.
type Docker struct {
	Image string `yaml:"image"`
	// Command replaces the image's own; none if empty.
	Command []string `yaml:"command,omitempty"`
	// Output must be part of what the container prints; not looked at if empty.
	Output string `yaml:"output,omitempty"`
	// BuildRun is a RUN step of the build, in exec form; none if empty.
	BuildRun []string `yaml:"build_run,omitempty"`
	// Keep pulls without removing the image first, and leaves it afterwards.
	Keep bool `yaml:"keep,omitempty"`
}

// Expectation turns a failure on a platform into xfail, and its absence into xpass.
type Expectation struct {
	Probe string `yaml:"probe"`
	// Target limits it to one target; all if empty.
	Target    string   `yaml:"target,omitempty"`
	Platforms []string `yaml:"platforms"`
	Why       string   `yaml:"why"`
}

// Matches reports whether the expectation is about a result.
func (e Expectation) Matches(platform, probe, target string) bool {
	return e.Probe == probe && (e.Target == "" || e.Target == target) && slices.Contains(e.Platforms, platform)
}

// Duration is a time.Duration that YAML shows as "5s".
type Duration time.Duration

// UnmarshalYAML reads "500ms", "5s" or "2m".
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return fmt.Errorf("line %d: %q is no duration; write one such as 500ms, 5s or 2m", n.Line, Clip(n.Value))
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// MaxDeadline is the longest deadline.
const MaxDeadline = time.Hour

// DeadlineConnect is the deadline of one TCP connection, in Targets.Deadlines.
const DeadlineConnect = "connect"

func defaultDeadlines() map[string]Duration {
	const s = Duration(time.Second)
	return map[string]Duration{
		DeadlineConnect:          5 * s,
		model.ProbeDNSA:          10 * s,
		model.ProbeDNSAAAA:       10 * s,
		model.ProbeTCP:           15 * s,
		model.ProbeFirst:         15 * s,
		model.ProbeHTTP:          30 * s,
		model.ProbeHTTPS:         30 * s,
		model.ProbeICMP:          5 * s,
		model.ProbePathMTU:       30 * s,
		model.ProbeAptUpdate:     90 * s,
		model.ProbeAptInstall:    120 * s,
		model.ProbeDockerInstall: 240 * s,
		model.ProbeDockerPing:    5 * s,
		model.ProbeRegistryPull:  120 * s,
		model.ProbeDockerRun:     60 * s,
		model.ProbeDockerBuild:   120 * s,
		model.ProbeDockerNetwork: 45 * s,
		model.ProbeKVM:           5 * s,
	}
}

// Deadline is how long the probe may take, or one connection for DeadlineConnect.
func (t *Set) Deadline(name string) time.Duration {
	if d, ok := t.Deadlines[name]; ok {
		return time.Duration(d)
	}
	return time.Duration(defaultDeadlines()[name])
}

// WithCA returns a copy of t that trusts the PEM certificates too.
func (t *Set) WithCA(pem []byte) *Set {
	c := *t
	c.CA = strings.TrimLeft(strings.TrimRight(c.CA, "\n")+"\n"+string(pem), "\n")
	return &c
}

// WithProxy returns a copy of t whose HTTP and HTTPS go by the proxy of the URL.
func (t *Set) WithProxy(u string) (*Set, error) {
	c := *t
	c.Proxy = u
	_, err := c.ProxyFunc()
	return &c, err
}

// ProxyFunc says for each request which proxy it goes by; nil for none at all.
func (t *Set) ProxyFunc() (func(*http.Request) (*url.URL, error), error) {
	switch t.Proxy {
	case "", ProxyDirect:
		return nil, nil
	case ProxyEnvironment:
		return http.ProxyFromEnvironment, nil
	}
	u, err := url.Parse(t.Proxy)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("proxy is %q; write direct, environment or a URL such as http://192.0.2.1:3128", Clip(t.Proxy))
	}
	return http.ProxyURL(u), nil
}

// WithDeadlines returns a copy of t with some deadlines replaced.
func (t *Set) WithDeadlines(d map[string]time.Duration) *Set {
	c := *t
	c.Deadlines = maps.Clone(t.Deadlines)
	if c.Deadlines == nil {
		c.Deadlines = map[string]Duration{}
	}
	for name, v := range d {
		c.Deadlines[name] = Duration(v)
	}
	return &c
}

// Stretched returns a copy of t with all deadlines that many times as long, a minute at
// most where they were shorter.
func (t *Set) Stretched(times float64) *Set {
	longer := map[string]time.Duration{}
	for name := range defaultDeadlines() {
		d := t.Deadline(name)
		longer[name] = max(d, min(time.Minute, time.Duration(float64(d)*times).Round(time.Millisecond)))
	}
	return t.WithDeadlines(longer)
}

// Encode returns t as YAML that Parse reads.
func (t *Set) Encode() ([]byte, error) {
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(t), enc.Close()); err != nil {
		return nil, fmt.Errorf("encode target set %s: %w", t.Name, err)
	}
	return text.Bytes(), nil
}

// Clip keeps hostile input out of error texts.
func Clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
