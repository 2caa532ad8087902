package probe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/nestlab/nestlab/model"
)

// Proxy settings of a target set.
const (
	ProxyDirect      = "direct"
	ProxyEnvironment = "environment"
)

var (
	setName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)
	// Debian policy 5.6.1; it also keeps an option from being taken for a package.
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,99}$`)
	aptSource   = regexp.MustCompile(`^deb (\[[A-Za-z0-9=,./ -]+\] )?https?://[^\s\[\]]+ \S+( [a-z0-9-]+)*$`)
)

// validate checks every value that would else fail in the middle of a run.
func (t *Targets) validate() error {
	if t.Version != 1 {
		return fmt.Errorf("version is %d; write \"version: 1\"", t.Version)
	}
	if !setName.MatchString(t.Name) {
		return fmt.Errorf("name %q is no name; write lower-case letters, digits and dashes, such as \"name: my-mirror\"", clip(t.Name))
	}
	if _, err := t.proxy(); err != nil {
		return err
	}
	return firstOf(
		t.validateDeadlines, t.validateHosts, t.validateURLs, t.validateApt, t.validateDocker, t.validateCA, t.validateExpect,
	)
}

func firstOf(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Targets) validateDeadlines() error {
	known := defaultDeadlines()
	for _, name := range sortedKeys(t.Deadlines) {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("deadlines: unknown probe %q; known: %s", clip(name), strings.Join(sortedKeys(known), ", "))
		}
		if d := time.Duration(t.Deadlines[name]); d < 10*time.Millisecond || d > time.Hour {
			return fmt.Errorf("deadlines.%s is %s; write something from 10ms to 1h", name, d)
		}
	}
	return nil
}

func (t *Targets) validateHosts() error {
	for i, name := range t.DNS {
		if !validName(name) {
			return fmt.Errorf("dns[%d] %q is no host name; write one such as archive.ubuntu.com", i, clip(name))
		}
	}
	for i, host := range t.ICMP {
		if !validHost(host) {
			return fmt.Errorf("icmp[%d] %q is neither host name nor address; write one such as 192.0.2.1", i, clip(host))
		}
	}
	for i, hp := range t.TCP {
		host, port, err := net.SplitHostPort(hp)
		if err != nil || !validHost(host) || !validPort(port) {
			return fmt.Errorf("tcp[%d] %q is not HOST:PORT; write one such as archive.ubuntu.com:80", i, clip(hp))
		}
	}
	return nil
}

func (t *Targets) validateURLs() error {
	for scheme, list := range map[string][]string{"http": t.HTTP, "https": t.HTTPS} {
		for i, s := range list {
			method, u := splitMethod(s)
			if method == "" || !validURL(u, scheme) {
				return fmt.Errorf("%s[%d] %q cannot be probed; write a URL that begins with %s://, with GET or HEAD before it if you like", scheme, i, clip(s), scheme)
			}
		}
	}
	for i, p := range t.PathMTU {
		if !validURL(p.URL, "http") || p.Sink != "" && !validURL(p.Sink, "http") {
			return fmt.Errorf("path_mtu[%d]: url and sink must begin with http://, not %q %q", i, clip(p.URL), clip(p.Sink))
		}
		if p.Bytes < 0 || p.Bytes > 16<<20 {
			return fmt.Errorf("path_mtu[%d].bytes is %d; write something from 4096 to 16777216", i, p.Bytes)
		}
	}
	return nil
}

func (t *Targets) validateApt() error {
	if t.Apt == nil {
		return nil
	}
	for i, s := range t.Apt.Sources {
		if !aptSource.MatchString(s) {
			return fmt.Errorf("apt.sources[%d] %q is no one-line source; write \"deb http://HOST/PATH SUITE COMPONENT\"", i, clip(s))
		}
	}
	if len(t.Apt.Packages) == 0 {
		return errors.New("apt.packages is empty; list a small package such as hello, or leave apt out")
	}
	for i, p := range t.Apt.Packages {
		if !packageName.MatchString(p) {
			return fmt.Errorf("apt.packages[%d] %q is no package name; write one such as hello", i, clip(p))
		}
	}
	return nil
}

func (t *Targets) validateDocker() error {
	if t.Docker == nil {
		return nil
	}
	// The daemon and the registry are asked with a library each; both must
	// understand the name.
	_, err := reference.ParseNormalizedNamed(t.Docker.Image)
	if err == nil {
		_, err = name.ParseReference(t.Docker.Image)
	}
	if err != nil {
		return fmt.Errorf("docker.image %q cannot be pulled: %w; write one such as ubuntu:24.04", clip(t.Docker.Image), err)
	}
	return nil
}

func (t *Targets) validateCA() error {
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		return errors.New("ca holds no PEM certificate; write \"ca: |\" and the certificate's BEGIN to END lines, indented")
	}
	return nil
}

func (t *Targets) validateExpect() error {
	for i, e := range t.Expect {
		if !slices.Contains(model.Probes(), e.Probe) {
			return fmt.Errorf("expect[%d].probe %q is unknown; known: %s", i, clip(e.Probe), strings.Join(model.Probes(), ", "))
		}
		if len(e.Platforms) == 0 || e.Why == "" {
			return fmt.Errorf("expect[%d]: platforms and why must be given", i)
		}
		for _, p := range e.Platforms {
			if !slices.Contains(Platforms(), p) {
				return fmt.Errorf("expect[%d].platforms: %q is unknown; known: %s", i, clip(p), strings.Join(Platforms(), ", "))
			}
		}
	}
	return nil
}

// Platforms lists what an expectation may name.
func Platforms() []string { return []string{"azure", "github-hosted", "simulated", "unknown"} }

// splitMethod takes "HEAD URL" apart; the method is empty if it is none of GET and HEAD.
func splitMethod(s string) (method, u string) {
	before, after, found := strings.Cut(s, " ")
	switch {
	case !found:
		return "GET", s
	case before == "GET" || before == "HEAD":
		return before, after
	}
	return "", s
}

func validURL(s, scheme string) bool {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return false
	}
	return u.Scheme == scheme && u.User == nil && u.Fragment == "" && u.Opaque == "" && validHost(u.Hostname()) &&
		(u.Port() == "" || validPort(u.Port()))
}

func validName(s string) bool { return len(s) <= 253 && hostName.MatchString(s) }

func validHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || validName(s)
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
