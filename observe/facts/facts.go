// Package facts reads what a place is like before it is probed: kernel, network,
// forwarding, Docker, capabilities. It changes nothing, and what it could not
// read it names.
package facts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// readDeadline bounds each part of Collect; dockerDeadline the daemon, which
// counts containers and images before it answers.
const (
	readDeadline = 10 * time.Second
	// Several programs are run to read the chains, which a busy machine takes its time for.
	chainsDeadline = 10 * time.Second
	dockerDeadline = 5 * time.Second
)

// Options say which place it is.
type Options struct {
	Place model.Place
	// Platform wins over what is detected, unless it is empty or model.PlatformAuto.
	Platform string
	// DockerHost is $DOCKER_HOST or /var/run/docker.sock if empty.
	DockerHost string
}

// Collect reads all facts. Parts that cannot be read are named in Errors; each
// is bounded by a deadline of its own, so that one that hangs costs no other.
func Collect(ctx context.Context, o Options) model.Facts {
	c := &collector{facts: model.Facts{Place: o.Place, Taken: time.Now().UTC(), Platform: o.Platform}}
	c.do(ctx, "the kernel's name", readDeadline, kernel)
	c.do(ctx, "os-release", readDeadline, osRelease)
	c.do(ctx, "the resolvers", readDeadline, resolvers)
	c.do(ctx, "the names in /etc/hosts", readDeadline, hosts)
	c.do(ctx, "the ports of connections", readDeadline, localPorts)
	c.do(ctx, "the forwarding settings", readDeadline, forwarding)
	c.do(ctx, "the interfaces", readDeadline, interfaces)
	c.do(ctx, "the routes", readDeadline, routes)
	c.do(ctx, "the capabilities", readDeadline, capabilities)
	c.do(ctx, "the cgroups", readDeadline, cgroup)
	c.do(ctx, "/dev/kvm", readDeadline, kvm)
	if o.Platform == "" || o.Platform == model.PlatformAuto {
		c.do(ctx, "the platform", readDeadline, func(_ context.Context, f *model.Facts) error {
			f.Platform = DetectPlatform()
			return nil
		})
	}
	c.do(ctx, "the forward chains", chainsDeadline, func(ctx context.Context, f *model.Facts) error {
		g := gather(ctx, true)
		f.Forward, f.SourceNAT, f.Errors = g.chains, g.sourceNAT, g.errors
		return nil
	})
	c.do(ctx, "Docker", dockerDeadline, func(ctx context.Context, f *model.Facts) error {
		f.Docker = docker(ctx, o.DockerHost)
		return nil
	})
	c.do(ctx, "dockerd", readDeadline, func(ctx context.Context, f *model.Facts) error { return dockerd(ctx, o.DockerHost, f) })
	c.do(ctx, "the subordinate ids", readDeadline, subordinates)
	c.do(ctx, "the file systems", readDeadline, disks)
	c.do(ctx, "the kernel's limits", readDeadline, kernelLimits)
	return c.facts
}

// collector puts the parts together.
type collector struct{ facts model.Facts }

// do reads one part into a copy and takes it over if it came in time: a part
// that hangs must not write into facts that were already handed out.
func (c *collector) do(ctx context.Context, what string, limit time.Duration, read func(context.Context, *model.Facts) error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type part struct {
		facts model.Facts
		err   error
	}
	done := make(chan part, 1)
	copied := c.facts
	copied.Errors = nil
	go func() {
		var guard errgroup.Group
		guard.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("it panicked: %v", p)
				}
			}()
			return read(ctx, &copied)
		})
		err := guard.Wait()
		done <- part{copied, err}
	}()
	before := c.facts.Errors
	select {
	case p := <-done:
		found := p.facts.Errors
		c.facts = p.facts
		c.facts.Errors = append(before, found...)
		if p.err != nil {
			c.facts.Errors = append(c.facts.Errors, fmt.Sprintf("read %s: %v", what, p.err))
		}
	case <-ctx.Done():
		c.facts.Errors = append(before, fmt.Sprintf("read %s: gave up after %s: %v", what, limit, ctx.Err()))
	}
}

func kernel(_ context.Context, f *model.Facts) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	f.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	f.Hostname = unix.ByteSliceToString(u.Nodename[:])
	return nil
}

func resolvers(_ context.Context, f *model.Facts) error {
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	f.Resolvers, f.Search = conf.Servers, conf.Search
	return nil
}

// forwarding reads the kernel's switches; one that is not there stays nil.
func forwarding(_ context.Context, f *model.Facts) error {
	var errs []error
	for path, target := range map[string]**bool{
		"/proc/sys/net/ipv4/ip_forward":                &f.IPForward,
		"/proc/sys/net/ipv6/conf/all/forwarding":       &f.IPv6Forward,
		"/proc/sys/net/bridge/bridge-nf-call-iptables": &f.BridgeNetfilter,
	} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		on := strings.TrimSpace(string(text)) != "0"
		*target = &on
	}
	return errors.Join(errs...)
}
