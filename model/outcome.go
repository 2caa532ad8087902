// Package model holds the words that every other package speaks: outcomes and
// reasons, results, facts, plan, diagnosis and the run that they make up. It is
// pure: no I/O, and nothing but the standard library.
package model

import "slices"

// Outcome says what came of one probe.
type Outcome string

// The outcomes. Error means "could not observe"; a failed probe is Fail.
const (
	Pass  Outcome = "pass"
	Fail  Outcome = "fail"
	XFail Outcome = "xfail" // failed, as expected on this platform
	XPass Outcome = "xpass" // passed, though failure was expected
	Skip  Outcome = "skip"  // not run; the detail says why
	Error Outcome = "error" // could not observe; the detail says why
)

// Outcomes lists every outcome, the good ones first.
func Outcomes() []Outcome { return []Outcome{Pass, XFail, XPass, Skip, Fail, Error} }

// Valid reports whether o is one of Outcomes.
func (o Outcome) Valid() bool { return slices.Contains(Outcomes(), o) }

// Bad reports whether o speaks against the environment or the observation.
func (o Outcome) Bad() bool { return o == Fail || o == Error }

// Reason says why a probe did not pass. The set is closed: a failure that fits
// none of them is ReasonOther, with the error's text in the detail.
type Reason string

// The reasons.
const (
	DNSNXDomain      Reason = "dns-nxdomain"      // the resolver says that the name does not exist
	DNSNoData        Reason = "dns-nodata"        // the name exists, but not with an address that was asked for
	DNSTimeout       Reason = "dns-timeout"       // no resolver answered in time
	DNSServFail      Reason = "dns-servfail"      // a resolver answered with a failure
	DNSRefused       Reason = "dns-refused"       // a resolver refused the query, or its port is closed
	NoResolver       Reason = "no-resolver"       // resolv.conf names no server
	ConnectTimeout   Reason = "connect-timeout"   // nothing came back: a silent drop
	Refused          Reason = "refused"           // a reset, or ICMP port unreachable
	Unreachable      Reason = "unreachable"       // no route, or ICMP host or network unreachable
	Permission       Reason = "eperm"             // the kernel or a file's mode denied it
	TLSUntrusted     Reason = "tls-untrusted"     // the certificate's issuer is not trusted here
	TLSExpired       Reason = "tls-expired"       // the certificate is not valid now: its dates, or this clock
	TLSName          Reason = "tls-name"          // the certificate is for another name
	TLSOther         Reason = "tls-other"         // the handshake failed otherwise
	HTTPStatus       Reason = "http-status"       // an answer, but not a 2xx one
	RateLimited      Reason = "rate-limited"      // HTTP 429
	ServerError      Reason = "server-error"      // HTTP 5xx
	ProxyRequired    Reason = "proxy-required"    // HTTP 407, or only the proxy gets through
	ProxyFailed      Reason = "proxy-failed"      // a proxy that the program is told to use fails, and without it all is there
	ReadTimeout      Reason = "read-timeout"      // connected, then nothing
	MTU              Reason = "mtu"               // small packets pass, large ones do not
	NoReply          Reason = "no-reply"          // an ICMP echo without an answer
	DaemonDown       Reason = "daemon-down"       // the Docker API does not answer
	StorageDriver    Reason = "storage-driver"    // Docker's storage driver does not work or is a slow one
	ImageNotFound    Reason = "image-not-found"   // the registry does not have it
	RegistryError    Reason = "registry-error"    // the registry is reachable, the pull failed all the same
	ContainerFailed  Reason = "container-failed"  // a container did not start or ended badly
	BuildFailed      Reason = "build-failed"      // docker build ended badly
	PackageManager   Reason = "package-manager"   // apt failed though its mirror is reachable
	DiskFull         Reason = "disk-full"         // no space left
	CommandNotFound  Reason = "command-not-found" // a tool that the probe needs is not there
	DeadlineExceeded Reason = "deadline-exceeded" // the probe's own deadline, at none of the steps above
	Canceled         Reason = "canceled"          // the run was interrupted
	NoDocker         Reason = "no-docker"         // skipped: no Docker in this environment
	NotApplicable    Reason = "not-applicable"    // skipped: makes no sense in this environment
	NotStarted       Reason = "not-started"       // the environment did not come up
	Lost             Reason = "lost"              // the environment or its daemon died while it was observed
	ReasonOther      Reason = "other"
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		DNSNXDomain, DNSNoData, DNSTimeout, DNSServFail, DNSRefused, NoResolver,
		ConnectTimeout, Refused, Unreachable, Permission,
		TLSUntrusted, TLSExpired, TLSName, TLSOther,
		HTTPStatus, RateLimited, ServerError, ProxyRequired, ProxyFailed, ReadTimeout, MTU, NoReply,
		DaemonDown, StorageDriver, ImageNotFound, RegistryError, ContainerFailed, BuildFailed,
		PackageManager, DiskFull, CommandNotFound, DeadlineExceeded, Canceled,
		NoDocker, NotApplicable, NotStarted, Lost, ReasonOther,
	}
}

// Valid reports whether r is empty or one of Reasons.
func (r Reason) Valid() bool { return r == "" || slices.Contains(Reasons(), r) }
