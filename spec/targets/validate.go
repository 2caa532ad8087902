package targets

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
func (t *Set) validate() error {
	if t.Version != 1 {
		return fmt.Errorf("version is %d; write \"version: 1\"", t.Version)
	}
	if !setName.MatchString(t.Name) {
		return fmt.Errorf("name %q is no name; write lower-case letters, digits and dashes, such as \"name: my-mirror\"", Clip(t.Name))
	}
	if _, err := t.ProxyFunc(); err != nil {
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

func (t *Set) validateDeadlines() error {
	known := defaultDeadlines()
	for _, name := range sortedKeys(t.Deadlines) {
		if _, ok := known[name]; !ok {
			return fmt.Errorf("deadlines: unknown probe %q; known: %s", Clip(name), strings.Join(sortedKeys(known), ", "))
		}
		if d := time.Duration(t.Deadlines[name]); d < 10*time.Millisecond || d > MaxDeadline {
			return fmt.Errorf("deadlines.%s is %s; write something from 10ms to 1h", name, d)
		}
	}
	return nil
}

func (t *Set) validateHosts() error {
	for i, name := range t.DNS {
		if !validName(name) {
			return fmt.Errorf("dns[%d] %q is no host name; write one such as archive.ubuntu.com", i, Clip(name))
		}
	}
	for i, host := range t.ICMP {
		if !validHost(host) {
			return fmt.Errorf("icmp[%d] %q is neither host name nor address; write one such as 192.0.2.1", i, Clip(host))
		}
	}
	for i, hp := range t.TCP {
		host, port, err := net.SplitHostPort(hp)
		if err != nil || !validHost(host) || !validPort(port) {
			return fmt.Errorf("tcp[%d] %q is not HOST:PORT; write one such as archive.ubuntu.com:80", i, Clip(hp))
		}
	}
	return nil
}

func (t *Set) validateURLs() error {
	for scheme, list := range map[string][]string{"http": t.HTTP, "https": t.HTTPS} {
		for i, s := range list {
			method, u := SplitMethod(s)
			if method == "" || !ValidURL(u, scheme) {
				return fmt.Errorf("%s[%d] %q cannot be probed; write a URL that begins with %s://, with GET or HEAD before it if you like", scheme, i, Clip(s), scheme)
			}
		}
	}
	for i, p := range t.PathMTU {
		if !ValidURL(p.URL, "http") || p.Sink != "" && !ValidURL(p.Sink, "http") {
			return fmt.Errorf("path_mtu[%d]: url and sink must begin with http://, not %q %q", i, Clip(p.URL), Clip(p.Sink))
		}
		if p.Bytes < 0 || p.Bytes > 16<<20 {
			return fmt.Errorf("path_mtu[%d].bytes is %d; write something from 4096 to 16777216", i, p.Bytes)
		}
	}
	return nil
}

func (t *Set) validateApt() error {
	if t.Apt == nil {
		return nil
	}
	for i, s := range t.Apt.Sources {
		if !aptSource.MatchString(s) {
			return fmt.Errorf("apt.sources[%d] %q is no one-line source; write \"deb http://HOST/PATH SUITE COMPONENT\"", i, Clip(s))
		}
	}
	if len(t.Apt.Packages) == 0 {
		return errors.New("apt.packages is empty; list a small package such as hello, or leave apt out")
	}
	for i, p := range t.Apt.Packages {
		if !packageName.MatchString(p) {
			return fmt.Errorf("apt.packages[%d] %q is no package name; write one such as hello", i, Clip(p))
		}
	}
	return nil
}

func (t *Set) validateDocker() error {
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
		return fmt.Errorf("docker.image %q cannot be pulled: %w; write one such as ubuntu:24.04", Clip(t.Docker.Image), err)
	}
	return nil
}

func (t *Set) validateCA() error {
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		return errors.New("ca holds no PEM certificate; write \"ca: |\" and the certificate's BEGIN to END lines, indented")
	}
	return nil
}

func (t *Set) validateExpect() error {
	for i, e := range t.Expect {
		if !slices.Contains(model.Probes(), e.Probe) {
			return fmt.Errorf("expect[%d].probe %q is unknown; known: %s", i, Clip(e.Probe), strings.Join(model.Probes(), ", "))
		}
		if len(e.Platforms) == 0 || e.Why == "" {
			return fmt.Errorf("expect[%d]: platforms and why must be given", i)
		}
		for _, p := range e.Platforms {
			if !slices.Contains(model.Platforms(), p) {
				return fmt.Errorf("expect[%d].platforms: %q is unknown; known: %s", i, Clip(p), strings.Join(model.Platforms(), ", "))
			}
		}
	}
	return nil
}

// SplitMethod takes "HEAD URL" apart; the method is empty if it is none of GET and HEAD.
func SplitMethod(s string) (method, u string) {
	before, after, found := strings.Cut(s, " ")
	switch {
	case !found:
		return "GET", s
	case before == "GET" || before == "HEAD":
		return before, after
	}
	return "", s
}

// ValidURL reports whether a URL of a scheme can be probed.
func ValidURL(s, scheme string) bool {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return false
	}
	return u.Scheme == scheme && u.User == nil && u.Fragment == "" && u.Opaque == "" && validHost(u.Hostname()) &&
		(u.Port() == "" || validPort(u.Port()))
}

// IsName reports whether a word can name a target set or a round.
func IsName(s string) bool { return setName.MatchString(s) }

func validName(s string) bool { return len(s) <= 253 && hostName.MatchString(s) }

func validHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || validName(s)
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
