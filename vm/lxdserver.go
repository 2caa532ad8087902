package vm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// Remote is an LXD that somebody else runs.
type Remote struct {
	// Address is the path of a unix socket, or https://HOST:PORT.
	Address string
	// ClientCert, ClientKey and ServerCert are PEM files, for https only; without
	// ServerCert the server's must be signed by a known authority.
	ClientCert, ClientKey, ServerCert string
	// Project and Member name a project, and a member of the cluster to put
	// instances on; empty for LXD's defaults.
	Project, Member string
}

// Validate checks what was asked for before anything is reached.
func (r Remote) Validate() error {
	https := strings.HasPrefix(r.Address, "https://")
	switch {
	case r.Address == "":
		return fmt.Errorf("no LXD is named: give its unix socket or https://HOST:PORT")
	case https && (r.ClientCert == "" || r.ClientKey == ""):
		return fmt.Errorf("LXD at %s wants a client certificate and its key", r.Address)
	case !https && (r.ClientCert != "" || r.ClientKey != "" || r.ServerCert != ""):
		return fmt.Errorf("certificates are for LXD at an https:// address, not for the socket %s", r.Address)
	}
	return nil
}

// Elsewhere says why what is made on this LXD may be on another machine than this
// one; empty where it is on this one. A socket is taken for this machine's.
func (r Remote) Elsewhere() string {
	if r.Member != "" {
		return fmt.Sprintf("the cluster member %s may be another", r.Member)
	}
	if !strings.HasPrefix(r.Address, "https://") {
		return ""
	}
	if u, err := url.Parse(r.Address); err == nil {
		if a, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && a.IsLoopback() {
			return ""
		}
	}
	return fmt.Sprintf("LXD at %s runs on another", r.Address)
}

// Connect waits until the LXD is ready, at most limit long. A socket that is not there is
// not waited for: on a machine with an LXD it is.
func (r Remote) Connect(ctx context.Context, limit time.Duration) (Server, error) {
	if err := r.Present(); err != nil {
		return nil, err
	}
	return r.connect(ctx, limit)
}

// Present reports, as an error with the next step, that a socket is not there.
func (r Remote) Present() error {
	if strings.HasPrefix(r.Address, "https://") {
		return nil
	}
	if _, err := os.Stat(r.Address); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reach LXD on %s: %w; install it (snap install lxd; Debian: apt-get install lxd), or name its socket with --lxd", r.Address, err)
	}
	return nil // what else is wrong connecting shows
}

func (r Remote) connect(ctx context.Context, limit time.Duration) (Server, error) {
	args, err := r.certificates()
	if err != nil {
		return nil, err
	}
	server, err := connect(ctx, r.Address, limit, func(ctx context.Context) (lxd.InstanceServer, error) {
		if args != nil {
			return lxd.ConnectLXDWithContext(ctx, r.Address, args)
		}
		return lxd.ConnectLXDUnixWithContext(ctx, r.Address, nil)
	})
	if err != nil {
		return nil, err
	}
	if r.Project != "" {
		server = server.UseProject(r.Project)
	}
	if r.Member != "" {
		// Before an image is imported for nothing. Another error may be for want of a right.
		if _, _, err := server.GetClusterMember(r.Member); api.StatusErrorCheck(err, http.StatusNotFound) {
			return nil, fmt.Errorf("find the cluster member %s: %w; `lxc cluster list` names those of the cluster", r.Member, err)
		}
		server = server.UseTarget(r.Member)
	}
	return server, nil
}

// certificates are nil for a unix socket.
func (r Remote) certificates() (*lxd.ConnectionArgs, error) {
	if !strings.HasPrefix(r.Address, "https://") {
		return nil, nil
	}
	args := &lxd.ConnectionArgs{}
	for _, f := range []struct {
		path string
		to   *string
	}{{r.ClientCert, &args.TLSClientCert}, {r.ClientKey, &args.TLSClientKey}, {r.ServerCert, &args.TLSServerCert}} {
		if f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			return nil, fmt.Errorf("read a certificate for LXD at %s: %w", r.Address, err)
		}
		*f.to = string(text)
	}
	if _, err := tls.X509KeyPair([]byte(args.TLSClientCert), []byte(args.TLSClientKey)); err != nil {
		return nil, fmt.Errorf("read the client certificate for LXD at %s: %w; give PEM files of a pair that LXD trusts (lxc config trust add)", r.Address, err)
	}
	return args, nil
}
