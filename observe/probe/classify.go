package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"syscall"

	"github.com/miekg/dns"

	"github.com/nestlab/nestlab/model"
)

// Failure is an error whose reason is known where it arises, such as an HTTP
// status or a DNS answer.
type Failure struct {
	Reason model.Reason
	Err    error
}

func (f *Failure) Error() string { return f.Err.Error() }

func (f *Failure) Unwrap() error { return f.Err }

func failure(reason model.Reason, err error) error { return &Failure{Reason: reason, Err: err} }

// both puts two errors on one line; either may be nil.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// Classify says why err happened. It looks at error values only (errors.Is and
// errors.As), never at texts; nil has no reason. The order is from the most
// specific value to the least.
func Classify(err error) model.Reason {
	if err == nil {
		return ""
	}
	var known *Failure
	if errors.As(err, &known) {
		return known.Reason
	}
	for _, step := range []func(error) model.Reason{classifyTLS, classifyDNS, classifyErrno, classifyTimeout} {
		if reason := step(err); reason != "" {
			return reason
		}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return model.CommandNotFound
	}
	return model.ReasonOther
}

func classifyTLS(err error) model.Reason {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return model.TLSUntrusted
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return model.TLSExpired
	case errors.As(err, &host):
		return model.TLSName
	case errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert),
		errors.Is(err, http.ErrSchemeMismatch):
		return model.TLSOther
	}
	return ""
}

func classifyDNS(err error) model.Reason {
	var d *net.DNSError
	if !errors.As(err, &d) {
		return ""
	}
	switch {
	case errors.Is(err, context.Canceled):
		return model.Canceled
	case d.IsNotFound:
		return model.DNSNXDomain
	case d.IsTimeout:
		return model.DNSTimeout
	}
	return model.DNSServFail
}

// ClassifyRcode says what a DNS answer's code means; NOERROR has no reason.
func ClassifyRcode(rcode int) model.Reason {
	switch rcode {
	case dns.RcodeSuccess:
		return ""
	case dns.RcodeNameError:
		return model.DNSNXDomain
	case dns.RcodeRefused:
		return model.DNSRefused
	}
	return model.DNSServFail
}

func classifyErrno(err error) model.Reason {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		if errors.Is(err, fs.ErrPermission) {
			return model.Permission
		}
		return ""
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE:
		return model.Refused
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.EAFNOSUPPORT:
		return model.Unreachable
	case syscall.EPERM, syscall.EACCES:
		return model.Permission
	case syscall.ENOSPC, syscall.EDQUOT:
		return model.DiskFull
	case syscall.EMSGSIZE:
		return model.MTU
	case syscall.ETIMEDOUT:
		return timeoutIn(err)
	}
	return ""
}

func classifyTimeout(err error) model.Reason {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return model.Canceled
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return timeoutIn(err)
	}
	return ""
}

// timeoutIn says at which step of a connection the time ran out.
func timeoutIn(err error) model.Reason {
	var op *net.OpError
	if !errors.As(err, &op) {
		return model.DeadlineExceeded
	}
	if op.Op == "dial" {
		return model.ConnectTimeout
	}
	return model.ReadTimeout
}

// ClassifyStatus says what an HTTP status means: 2xx and 3xx have no reason.
func ClassifyStatus(status int) model.Reason {
	switch {
	case status >= 200 && status < 400:
		return ""
	case status == 407:
		return model.ProxyRequired
	case status == 429:
		return model.RateLimited
	case status >= 500 && status < 600:
		return model.ServerError
	}
	return model.HTTPStatus
}

// MostTelling picks the reason that says most about a network out of those of
// several addresses: a silent drop is rarer and means more than a missing route.
func MostTelling(reasons []model.Reason) model.Reason {
	for _, r := range []model.Reason{model.ConnectTimeout, model.Permission, model.Refused, model.Unreachable} {
		if slices.Contains(reasons, r) {
			return r
		}
	}
	for _, r := range reasons {
		if r != "" && r != model.Canceled {
			return r
		}
	}
	return model.ReasonOther
}

// Transient reports whether trying again may help: timeouts and 5xx answers.
func Transient(r model.Reason) bool {
	switch r {
	case model.DNSTimeout, model.DNSServFail, model.ConnectTimeout, model.ReadTimeout, model.ServerError, model.DeadlineExceeded:
		return true
	}
	return false
}
