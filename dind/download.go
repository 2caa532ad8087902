package dind

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// download keeps what an address gives, at most limit bytes, in a file that the caller
// removes. Where a checksum is given the file has it.
func (i Install) download(ctx context.Context, address string, limit int64, checksum string) (path string, err error) {
	web, err := i.web()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "nestlab-download-")
	if err != nil {
		return "", fmt.Errorf("keep what %s gives: %w", address, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	sum, err := backoff.Retry(ctx, func() (string, error) {
		return fetch(ctx, web, address, limit, i.timeout(), f)
	}, backoff.WithMaxTries(uint(i.retries()+1)))
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", address, err)
	}
	if checksum != "" && !strings.EqualFold(sum, checksum) {
		return "", fmt.Errorf("the SHA-256 of %s is %s, not %s: it is another file than was reviewed, and was not used", address, sum, checksum)
	}
	return f.Name(), nil
}

// web is a client that waits for each answer as long as for a mirror.
func (i Install) web() (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if i.CA != "" && !pool.AppendCertsFromPEM([]byte(i.CA)) {
		return nil, errors.New("the certificate authority is no PEM certificate")
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
		DialContext:         (&net.Dialer{Timeout: i.timeout()}).DialContext,
		TLSHandshakeTimeout: i.timeout(), ResponseHeaderTimeout: i.timeout(),
	}}, nil
}

// fetch writes what an address gives to a file, in place of what an earlier try wrote, and
// returns its SHA-256. It ends when nothing comes for as long as idle.
func fetch(ctx context.Context, web *http.Client, address string, limit int64, idle time.Duration, f *os.File) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", backoff.Permanent(err)
	}
	answer, err := web.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		err := fmt.Errorf("it answers %s", answer.Status)
		if answer.StatusCode < http.StatusInternalServerError {
			return "", backoff.Permanent(err)
		}
		return "", err
	}
	if err := errors.Join(f.Truncate(0), rewind(f)); err != nil {
		return "", backoff.Permanent(err)
	}
	timer := time.AfterFunc(idle, func() { cancel(fmt.Errorf("nothing more came for %s", idle)) })
	defer timer.Stop()
	hash := sha256.New()
	body := progress{Reader: io.LimitReader(answer.Body, limit+1), went: func() { timer.Reset(idle) }}
	n, err := io.Copy(io.MultiWriter(f, hash), body)
	if err != nil {
		return "", errors.Join(err, context.Cause(ctx))
	}
	if n > limit {
		return "", backoff.Permanent(fmt.Errorf("it gives more than %d bytes", limit))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// progress tells of each read that brought something.
type progress struct {
	io.Reader
	went func()
}

func (p progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.went()
	}
	return n, err
}
