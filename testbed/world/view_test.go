package world_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/nestlab/nestlab/testbed/world/internet"
)

// view is what a process sees of the place that it runs in.
type view struct {
	Hostname, Forwarding, Resolvers string
	Links, Addresses, Gateways      []string
	Lookup                          map[string][]string
	Fetched                         map[string]string // by address: the start of the body, or the error
	Echo                            string            // why there was no reply
	Mounts                          map[string]string // mount point to type, of those that count
	Cgroups                         string
	Init                            string
	Namespaces                      map[string]string
	Environment                     []string
	Controllers                     []string // directories of the cgroup root that hold processes of ours
}

func newView(ctx context.Context) (v view, err error) {
	if v.Hostname, err = os.Hostname(); err != nil {
		return v, err
	}
	for path, to := range map[string]*string{
		"/proc/sys/net/ipv4/ip_forward": &v.Forwarding, "/etc/resolv.conf": &v.Resolvers,
		"/proc/self/cgroup": &v.Cgroups, "/proc/1/cmdline": &v.Init,
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			return v, err
		}
		*to = strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
	}
	v.Environment = os.Environ()
	return v, errors.Join(v.seeNetwork(ctx), v.seeMounts(), v.seeNamespaces())
}

func (v *view) seeNetwork(ctx context.Context) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		v.Links = append(v.Links, l.Attrs().Name)
		addresses, err := netlink.AddrList(l, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			v.Addresses = append(v.Addresses, a.IPNet.String())
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Gw != nil {
			v.Gateways = append(v.Gateways, r.Gw.String())
		}
	}
	v.Lookup, v.Fetched = map[string][]string{}, map[string]string{}
	for _, name := range []string{internet.Archive, "nothing.lab.test", "example.com"} {
		found, err := net.DefaultResolver.LookupHost(ctx, name)
		var miss *net.DNSError
		if errors.As(err, &miss) && miss.IsNotFound {
			found = []string{"not found"}
		} else if err != nil {
			found = []string{err.Error()}
		}
		v.Lookup[name] = found
	}
	for _, url := range []string{"http://" + internet.Archive + "/", "https://" + internet.Registry + "/v2/", "https://" + internet.Download + "/", "http://[2001:db8::10]/"} {
		v.Fetched[url] = fetch(ctx, url)
	}
	v.Echo = echo(internet.Gateway.String()) + ", " + echo("192.0.2.1")
	return nil
}

// fetch uses the place's own resolver and its own trust.
func fetch(ctx context.Context, url string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 50))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, body)
}

// echo pings an address once.
func echo(address string) string {
	c, err := icmp.ListenPacket("ip4:icmp", "0.0.0.0")
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	message := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte("nestlab")}}
	packet, err := message.Marshal(nil)
	if err != nil {
		return err.Error()
	}
	if err := c.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		return err.Error()
	}
	if _, err := c.WriteTo(packet, &net.IPAddr{IP: net.ParseIP(address)}); err != nil {
		return err.Error()
	}
	answer := make([]byte, 1500)
	n, _, err := c.ReadFrom(answer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "lost"
	}
	return fmt.Sprintf("%x %v", answer[:n], err)
}

func (v *view) seeMounts() error {
	all, err := mountinfo.GetMounts(nil)
	if err != nil {
		return err
	}
	v.Mounts = map[string]string{}
	for _, m := range all {
		v.Mounts[m.Mountpoint] = m.FSType
	}
	dirs, err := filepath.Glob("/sys/fs/cgroup/*")
	for _, d := range dirs {
		if data, err := os.ReadFile(filepath.Join(d, "cgroup.procs")); err == nil && len(data) > 0 {
			v.Controllers = append(v.Controllers, filepath.Base(d))
		}
	}
	return err
}

func (v *view) seeNamespaces() error {
	v.Namespaces = map[string]string{}
	for _, kind := range []string{"mnt", "pid", "net", "uts", "ipc", "cgroup"} {
		target, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return err
		}
		v.Namespaces[kind] = target
	}
	return nil
}

// leaveOrphan starts a shell whose background process survives it, and waits
// until init has taken that and nothing is left of it, not even a zombie.
func leaveOrphan(ctx context.Context, _ []string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", "sleep 0.2 >/dev/null & echo $!")
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return err
	}
	entry := filepath.Join("/proc", strings.TrimSpace(out.String()))
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		if _, err := os.Stat(entry); !errors.Is(err, os.ErrNotExist) {
			return struct{}{}, fmt.Errorf("%s is still there: %w", entry, err)
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)))
	return err
}
