package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// CommandDocker hands Docker-in-Docker out; it makes no run and has no plan.
const CommandDocker Command = "dind"

// StorageDriver is how a daemon keeps the layers of images.
type StorageDriver string

// The drivers that every Linux with a suitable file system has.
const (
	Overlay2 StorageDriver = "overlay2"
	VFS      StorageDriver = "vfs" // copies every layer whole, on any file system
)

// Values lists the drivers.
func (StorageDriver) Values() []StorageDriver { return []StorageDriver{Overlay2, VFS} }
func (StorageDriver) kind() string            { return "storage driver" }

// Where the container of a handed-out daemon finds what it was given.
const (
	// DockerCertificates has a directory for the server and one for clients, each with
	// ca.pem, cert.pem and key.pem.
	DockerCertificates = "/etc/nestlab/docker-certs"
	// DockerImages has a directory for each image to load: image.tar and, where it is
	// to have a name, ref.
	DockerImages = "/opt/nestlab/images"
	// DockerData is the daemon's data root.
	DockerData = "/var/lib/docker"
	// DockerPort and DockerTLSPort are those that Docker's clients expect.
	DockerPort, DockerTLSPort = 2375, 2376
	// DockerHost is the daemon's name in a container that it is bound to.
	DockerHost = "docker"
)

// WithoutProxy adds the daemon to the hosts that no proxy is asked for, as NO_PROXY has them.
func WithoutProxy(hosts string) string {
	for host := range strings.SplitSeq(hosts, ",") {
		if host := strings.TrimSpace(host); host == "*" || host == DockerHost {
			return hosts
		}
	}
	return strings.TrimPrefix(hosts+","+DockerHost, ",")
}

// Docker asks for a dockerd that is served on TCP. Empty fields are chosen at its start, by
// what the machine is like.
type Docker struct {
	Origin
	Phase         Phase         `json:"phase"`
	StorageDriver StorageDriver `json:"storage_driver,omitempty"`
	// MTU is that of the default network and, from Docker 24 on, of all others.
	MTU int `json:"mtu,omitempty"`
	// AddressPools are IPv4 networks that the daemon's own networks are cut from.
	AddressPools []string `json:"address_pools,omitempty"`
	// Mirrors are URLs that stand in for Docker Hub.
	Mirrors []string `json:"registry_mirrors,omitempty"`
	// Insecure are registries, HOST[:PORT] or CIDR, that are asked without TLS too.
	Insecure []string `json:"insecure_registries,omitempty"`
	// TLS wants a certificate of clients.
	TLS bool `json:"tls"`
	// Data names a data root that is kept; empty for one that begins empty.
	Data string `json:"data,omitempty"`
}

// NewDocker is a request with the defaults.
func NewDocker() Docker { return Docker{Origin: Origin{Method: Distro}, Phase: BuildTime} }

// Command implements Request.
func (Docker) Command() Command { return CommandDocker }

// Port is where the daemon is served.
func (d Docker) Port() int {
	if d.TLS {
		return DockerTLSPort
	}
	return DockerPort
}

// dataName is what a data root may be called.
var dataName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)

// Validate implements Request.
func (d Docker) Validate() error {
	errs := []error{d.Origin.Validate(), Check(d.Phase)}
	if d.StorageDriver != "" {
		errs = append(errs, Check(d.StorageDriver))
	}
	// 68 is the kernel's least, but IPv4 promises 576 to everybody.
	if d.MTU != 0 && (d.MTU < 576 || d.MTU > 65535) {
		errs = append(errs, fmt.Errorf("--mtu %d: give 576 to 65535, or 0 for the uplink's", d.MTU))
	}
	if d.Data != "" && !dataName.MatchString(d.Data) {
		errs = append(errs, fmt.Errorf("--data-volume %.80q: give a name of letters, digits, dots, dashes and underscores", d.Data))
	}
	errs = append(errs, checkPools(d.AddressPools))
	for _, m := range d.Mirrors {
		errs = append(errs, checkMirror(m))
	}
	for _, r := range d.Insecure {
		errs = append(errs, checkInsecure(r))
	}
	return errors.Join(errs...)
}

// checkPools holds pools to what dockerd takes: it says less of what is wrong, and only
// when it runs.
func checkPools(given []string) error {
	var pools []netip.Prefix
	for _, text := range given {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !p.Addr().Is4() || p.Bits() < 8 || p.Bits() > 24:
			return fmt.Errorf("--address-pool %.80q: give an IPv4 network of /8 to /24, such as 10.213.0.0/16", text)
		case p != p.Masked():
			return fmt.Errorf("--address-pool %s has bits outside of its mask: %s is the network", text, p.Masked())
		}
		for _, other := range pools {
			if p.Overlaps(other) {
				return fmt.Errorf("--address-pool %s overlaps %s: leave one out", p, other)
			}
		}
		pools = append(pools, p)
	}
	return nil
}

// checkMirror keeps what was given out of its error where it may have a password.
func checkMirror(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return errors.New("--registry-mirror: give a URL such as https://mirror.example:5000")
	case u.User != nil:
		return fmt.Errorf("--registry-mirror of %s has a password: dockerd takes none there, and it would be logged", u.Host)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("--registry-mirror of %s has more than a host: dockerd takes %s://%s alone", u.Host, u.Scheme, u.Host)
	}
	return nil
}

func checkInsecure(text string) error {
	if _, err := netip.ParsePrefix(text); err == nil {
		return nil
	}
	if u, err := url.Parse("//" + text); err != nil || u.Hostname() == "" || u.Host != text {
		return fmt.Errorf("--insecure-registry %.80q: give HOST, HOST:PORT or a network such as 10.0.0.0/8, without http://", text)
	}
	return nil
}
