package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// maxConf bounds the resolv.conf of a guest.
const maxConf = 64 << 10

// Guest is a container that is there already: a root and a network namespace, with an
// interface that is a port of a bridge. It is probed, and nothing in it is changed.
type Guest struct {
	// Name is its host name, or the name of its first process.
	Name   string
	Bridge string
	PID    int
	// Dir takes a copy of its resolv.conf.
	Dir string

	inode string // of its network namespace
	space netns.NsHandle
}

// Guests finds the containers on bridges, by the processes that /proc shows.
func Guests(of []networks.Network) ([]Guest, error) {
	ports, err := portsOf(of)
	if err != nil {
		return nil, err
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("find this network namespace: %w", err)
	}
	seen := []string{own}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var guests []Guest
	for _, dir := range all {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		space, err := os.Readlink(filepath.Join(dir, "ns/net"))
		if err != nil || slices.Contains(seen, space) {
			continue // it has ended, or another process of the namespace was looked at
		}
		if !apartFrom(dir, "/") {
			continue // a namespace that this host uses itself: it has no resolvers of its own
		}
		seen = append(seen, space)
		if bridge := attachedTo(pid, ports); bridge != "" {
			name := nameOf(dir)
			if slices.ContainsFunc(guests, func(g Guest) bool { return g.Name == name }) {
				name = fmt.Sprintf("%s-%d", name, pid)
			}
			guests = append(guests, Guest{Name: name, Bridge: bridge, PID: pid, inode: space, space: netns.None()})
		}
	}
	return guests, nil
}

// apartFrom reports whether a process has another root than this one.
func apartFrom(dir, root string) bool {
	its, err := os.Stat(filepath.Join(dir, "root"))
	own, failed := os.Stat(root)
	return err == nil && failed == nil && !os.SameFile(its, own)
}

// portsOf are the bridges of ports whose other end is in another network namespace, by the
// number that this one has for that.
func portsOf(of []networks.Network) (map[int]string, error) {
	ports := map[int]string{}
	for _, n := range of {
		for _, name := range n.Ports {
			l, err := netlink.LinkByName(name)
			if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("find the port %s of %s: %w", name, n.Bridge, err)
			}
			if l.Type() == "veth" && l.Attrs().NetNsID >= 0 {
				ports[l.Attrs().NetNsID] = n.Bridge
			}
		}
	}
	return ports, nil
}

// attachedTo is the bridge that an interface of a process's network is a port of; empty for
// none. Interfaces have the same indexes in many namespaces, so those tell nothing: the
// kernel says which namespace a port's other end is in.
func attachedTo(pid int, ports map[int]string) string {
	space, err := netns.GetFromPid(pid)
	if err != nil {
		return "" // it has ended
	}
	defer space.Close()
	id, err := netlink.GetNetNsIdByFd(int(space))
	if err != nil || id < 0 {
		return "" // no interface of this namespace leads there
	}
	return ports[id]
}

// nameOf is the host name of a process's root, or its own.
func nameOf(dir string) string {
	name := ""
	if text, err := inRoot(dir, "etc/hostname"); err == nil {
		name = strings.TrimSpace(string(text))
	}
	if host, err := os.Hostname(); name == "" || err == nil && name == host {
		text, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err == nil {
			name = fmt.Sprintf("%s-%s", strings.TrimSpace(string(text)), filepath.Base(dir))
		}
	}
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	return model.Clip(name, 63)
}

// inRoot reads a file of a process's root, and nothing outside of it: what its links say
// is the guest's.
func inRoot(dir, path string) (text []byte, err error) {
	root, err := os.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if to, failed := root.Readlink(path); failed == nil && filepath.IsAbs(to) {
		path = strings.TrimPrefix(to, "/")
	}
	// What is no file, such as a FIFO, is not waited for.
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no file", path))
	}
	return io.ReadAll(io.LimitReader(f, maxConf))
}

// Place implements session.Environment.
func (g *Guest) Place() model.Place { return model.Place{Environment: model.EnvGuest, Name: g.Name} }

// Suites implements session.Environment.
func (g *Guest) Suites() []string { return []string{model.SuiteNetwork} }

// Start implements session.Environment: it holds the namespace, and starts nothing.
func (g *Guest) Start(_ context.Context, took session.Took) (err error) {
	begin := time.Now()
	inode, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", g.PID))
	if err == nil && inode == g.inode {
		g.space, err = netns.GetFromPid(g.PID)
	}
	if err != nil || inode != g.inode {
		return session.Inapplicable{Why: fmt.Sprintf("the guest %s has ended", g.Name)}
	}
	text, err := inRoot(fmt.Sprintf("/proc/%d", g.PID), "etc/resolv.conf")
	if err != nil {
		return session.Inapplicable{Why: fmt.Sprintf("the resolvers of the guest %s cannot be read: %v", g.Name, err)}
	}
	if err := os.WriteFile(g.conf(), text, 0o644); err != nil {
		return fmt.Errorf("keep the resolvers of the guest %s: %w", g.Name, err)
	}
	took(model.StepStart, begin, time.Since(begin), "")
	return nil
}

func (g *Guest) conf() string { return filepath.Join(g.Dir, "resolv.guest."+strconv.Itoa(g.PID)) }

// Exec implements session.Environment.
func (g *Guest) Exec(ctx context.Context, c session.Command) (int, error) {
	return run(ctx, c, g.space, g.conf())
}

// Stop implements session.Environment: the guest goes on.
func (g *Guest) Stop(context.Context) error {
	err := os.RemoveAll(g.conf())
	if g.space.IsOpen() {
		err = errors.Join(err, g.space.Close())
	}
	return err
}
