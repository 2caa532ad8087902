package probe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
)

func op(name string, err error) error {
	return &net.OpError{Op: name, Net: "tcp", Err: err}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	errno := func(e syscall.Errno) error { return op("dial", os.NewSyscallError("connect", e)) }
	for reason, errs := range map[model.Reason][]error{
		"": {nil},
		model.ConnectTimeout: {
			op("dial", os.ErrDeadlineExceeded), op("dial", context.DeadlineExceeded), errno(syscall.ETIMEDOUT),
			&url.Error{Op: "Get", URL: "http://x/", Err: op("dial", os.ErrDeadlineExceeded)},
		},
		model.ReadTimeout:      {op("read", os.ErrDeadlineExceeded), op("write", os.ErrDeadlineExceeded)},
		model.DeadlineExceeded: {context.DeadlineExceeded, fmt.Errorf("x: %w", context.DeadlineExceeded)},
		model.Canceled:         {context.Canceled, op("dial", context.Canceled)},
		model.Refused:          {errno(syscall.ECONNREFUSED), errno(syscall.ECONNRESET), op("write", syscall.EPIPE)},
		model.Unreachable:      {errno(syscall.EHOSTUNREACH), errno(syscall.ENETUNREACH), errno(syscall.EADDRNOTAVAIL)},
		model.Permission:       {errno(syscall.EPERM), errno(syscall.EACCES), fs.ErrPermission, &fs.PathError{Err: syscall.EACCES}},
		model.DiskFull:         {&fs.PathError{Op: "write", Err: syscall.ENOSPC}},
		model.MTU:              {op("write", syscall.EMSGSIZE)},
		model.DNSNXDomain:      {&net.DNSError{IsNotFound: true}},
		model.DNSTimeout:       {&net.DNSError{IsTimeout: true}, &net.DNSError{IsTimeout: true, UnwrapErr: context.DeadlineExceeded}},
		model.DNSServFail:      {&net.DNSError{IsTemporary: true}},
		model.TLSUntrusted:     {x509.UnknownAuthorityError{}, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
		model.TLSExpired:       {x509.CertificateInvalidError{Reason: x509.Expired}},
		model.TLSName:          {x509.HostnameError{Certificate: &x509.Certificate{}}},
		model.TLSOther: {
			x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, tls.RecordHeaderError{},
			op("remote error", tls.AlertError(40)), &tls.CertificateVerificationError{Err: errors.New("odd")},
		},
		model.CommandNotFound: {&exec.Error{Name: "apt-get", Err: exec.ErrNotFound}},
		// A text that names another reason decides nothing.
		model.ReasonOther: {errors.New("connection refused"), errors.New("i/o timeout")},
		model.RateLimited: {fmt.Errorf("x: %w", &probe.Failure{Reason: model.RateLimited, Err: context.DeadlineExceeded})},
	} {
		for _, err := range errs {
			require.Equal(t, reason, probe.Classify(err), "%#v", err)
			require.Equal(t, reason, probe.Classify(wrap(err)), "%#v", err)
		}
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("do: %w", &url.Error{Op: "Get", URL: "http://x/", Err: err})
}

func TestClassifyStatus(t *testing.T) {
	t.Parallel()
	for status, reason := range map[int]model.Reason{
		200: "", 204: "", 301: "", 304: "", 399: "", 400: model.HTTPStatus, 404: model.HTTPStatus, 100: model.HTTPStatus, 600: model.HTTPStatus,
		407: model.ProxyRequired, 429: model.RateLimited, 500: model.ServerError, 503: model.ServerError, 599: model.ServerError,
	} {
		require.Equal(t, reason, probe.ClassifyStatus(status), status)
	}
}

func TestClassifyRcode(t *testing.T) {
	t.Parallel()
	for rcode, reason := range map[int]model.Reason{
		dns.RcodeSuccess: "", dns.RcodeNameError: model.DNSNXDomain, dns.RcodeRefused: model.DNSRefused,
		dns.RcodeServerFailure: model.DNSServFail, dns.RcodeNotImplemented: model.DNSServFail, dns.RcodeFormatError: model.DNSServFail,
	} {
		require.Equal(t, reason, probe.ClassifyRcode(rcode), rcode)
	}
}

func TestMostTelling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   []model.Reason
		most model.Reason
	}{
		{[]model.Reason{model.Unreachable, model.ConnectTimeout}, model.ConnectTimeout},
		{[]model.Reason{model.Permission, model.ConnectTimeout}, model.ConnectTimeout},
		{[]model.Reason{model.Refused, model.Permission}, model.Permission},
		{[]model.Reason{model.Unreachable, model.Refused}, model.Refused},
		{[]model.Reason{model.Unreachable, model.Unreachable}, model.Unreachable},
		{[]model.Reason{model.Canceled, model.MTU}, model.MTU},
		{nil, model.ReasonOther},
	} {
		require.Equal(t, c.most, probe.MostTelling(c.of), c.of)
	}
}

func TestTransient(t *testing.T) {
	t.Parallel()
	for _, r := range model.Reasons() {
		timeout := r == model.DNSTimeout || r == model.ConnectTimeout || r == model.ReadTimeout || r == model.DeadlineExceeded
		require.Equal(t, timeout || r == model.ServerError || r == model.DNSServFail, probe.Transient(r), r)
	}
}
