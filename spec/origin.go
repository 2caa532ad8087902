package spec

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Method is a way to install Docker in a container.
type Method string

// The methods.
const (
	// Distro installs docker.io of the distribution.
	Distro Method = "distro"
	// DockerCE installs the vendor's packages from the vendor's apt repository.
	DockerCE Method = "docker-ce"
	// Script runs the vendor's script, once its checksum is right.
	Script Method = "script"
	// Static unpacks the vendor's archive of static programs, once its checksum is right.
	Static Method = "static"
	// Cached installs packages that the caller gives, and uses no network.
	Cached Method = "cached"
)

// Values lists the methods.
func (Method) Values() []Method { return []Method{Distro, DockerCE, Script, Static, Cached} }
func (Method) kind() string     { return "install method" }

// The vendor's own places, and the fingerprint of the key that signs its packages
// (docs.docker.com/engine/install/debian).
const (
	VendorURL         = "https://download.docker.com"
	VendorScript      = "https://get.docker.com"
	VendorFingerprint = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
)

// Where the installation finds what a caller gives it.
const (
	// DockerPackages has the packages of the method cached.
	DockerPackages = "/opt/nestlab/packages"
	// PackageMirror is the name of a caller's service while Docker is installed.
	PackageMirror = "package-mirror"
)

// Origin is how Docker is installed, and where it comes from. Empty fields are the
// vendor's own; a method has no more than those that flags lists.
type Origin struct {
	Method Method `json:"method"`
	// Version is that of the package, or of the archive; empty for the newest.
	Version string `json:"docker_version,omitempty"`
	// DownloadURL stands in for VendorURL and has the same directories, Key for the address
	// of the key in it, Fingerprint for VendorFingerprint.
	DownloadURL string `json:"download_url,omitempty"`
	Key         string `json:"key,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	// Script stands in for VendorScript.
	Script string `json:"script,omitempty"`
	// Checksum is the SHA-256 of the script or of the archive.
	Checksum string `json:"checksum,omitempty"`
	// Packages is a directory with Docker's packages and what those need (*.deb).
	Packages string `json:"packages,omitempty"`
}

// originFlag is one field of an origin: which methods have it, and which cannot be without.
type originFlag struct {
	name, value    string
	of, required   []Method
	check          func(string) error
	insteadOfEmpty string // what to do where it is required and empty
}

func (o Origin) flags() []originFlag {
	return []originFlag{
		{name: "--docker-version", value: o.Version, of: []Method{Distro, DockerCE, Script, Static}, required: []Method{Static}, check: checkVersion,
			insteadOfEmpty: "give the archive's, such as 28.5.2"},
		{name: "--download-url", value: o.DownloadURL, of: []Method{DockerCE, Script, Static}, check: checkURL},
		{name: "--key", value: o.Key, of: []Method{DockerCE}, check: checkURL},
		{name: "--fingerprint", value: o.Fingerprint, of: []Method{DockerCE}, check: checkFingerprint},
		{name: "--script", value: o.Script, of: []Method{Script}, check: checkURL},
		{name: "--checksum", value: o.Checksum, of: []Method{Script, Static}, required: []Method{Script, Static}, check: checkSHA256,
			insteadOfEmpty: "give the SHA-256 of what you reviewed: sha256sum FILE"},
		{name: "--packages", value: o.Packages, of: []Method{Cached}, required: []Method{Cached}, check: func(string) error { return nil },
			insteadOfEmpty: "give a directory with Docker's packages and what those need (*.deb)"},
	}
}

// Args are the flags of nestlab dind install that make the origin.
func (o Origin) Args() []string {
	args := []string{"--method", string(o.Method)}
	for _, f := range o.flags() {
		if f.value != "" {
			args = append(args, f.name, f.value)
		}
	}
	return args
}

// Validate refuses what a method has not, and misses what it cannot be without.
func (o Origin) Validate() error {
	if err := Check(o.Method); err != nil {
		return err
	}
	var errs []error
	for _, f := range o.flags() {
		switch {
		case f.value == "" && slices.Contains(f.required, o.Method):
			errs = append(errs, fmt.Errorf("%s is missing for the install method %s: %s", f.name, o.Method, f.insteadOfEmpty))
		case f.value == "":
		case !slices.Contains(f.of, o.Method):
			errs = append(errs, fmt.Errorf("%s has no effect with the install method %s, but with %s: leave it out", f.name, o.Method, List(f.of)))
		default:
			if err := f.check(f.value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// CheckSources refuses lines of sources.list for a method that does not read them.
func (o Origin) CheckSources(lines []string) error {
	if len(lines) > 0 && (o.Method == Script || o.Method == Cached) {
		return fmt.Errorf("--source has no effect with the install method %s: leave it out", o.Method)
	}
	return nil
}

// Download is the vendor's site, without a slash at its end.
func (o Origin) Download() string { return strings.TrimRight(cmp.Or(o.DownloadURL, VendorURL), "/") }

var (
	versionText = regexp.MustCompile(`^[0-9][0-9A-Za-z.+~:-]{0,99}$`)
	hexText     = regexp.MustCompile(`^[0-9A-Fa-f]+$`)
)

func checkVersion(text string) error {
	if !versionText.MatchString(text) {
		return fmt.Errorf("%.80q is no version such as 28.5.2", text)
	}
	return nil
}

// checkURL keeps what was given out of its error where it may have a password.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return errors.New("give a URL such as https://mirror.example/docker")
	case u.User != nil:
		return fmt.Errorf("that of %s has a password, which would be left in the image: leave it out", u.Host)
	case u.RawQuery != "" || u.Fragment != "" || u.String() != text:
		return fmt.Errorf("that of %s has more than a host and a path, or characters that are to be escaped", u.Host)
	}
	return nil
}

func checkFingerprint(text string) error {
	if len(text) != 40 || !hexText.MatchString(text) {
		return fmt.Errorf("%.80q is no fingerprint: give its 40 hexadecimal digits, without spaces", text)
	}
	return nil
}

func checkSHA256(text string) error {
	if len(text) != 64 || !hexText.MatchString(text) {
		return fmt.Errorf("%.80q is no SHA-256: give its 64 hexadecimal digits", text)
	}
	return nil
}
