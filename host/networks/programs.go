package networks

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// dockerWithin bounds the question to the daemon.
const dockerWithin = 2 * time.Second

// maxFile bounds a file that tells of a network.
const maxFile = 1 << 20

// docker asks the daemon, where its socket is.
func (o Options) docker(ctx context.Context) (all []Network, err error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if o.Docker != "" {
		options = append(options, client.WithHost(o.Docker))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("make a Docker client; check DOCKER_HOST: %w", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	u, err := client.ParseHostURL(c.DaemonHost())
	if err == nil && u.Scheme == "unix" {
		if _, err := os.Stat(u.Host + u.Path); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dockerWithin)
	defer cancel()
	list, err := c.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask Docker at %s for its networks: %w", c.DaemonHost(), err)
	}
	for _, n := range list {
		if n.Driver != "bridge" {
			continue
		}
		bridge := n.Options["com.docker.network.bridge.name"]
		if bridge == "" && len(n.ID) >= 12 {
			bridge = "br-" + n.ID[:12]
		}
		found := Network{Bridge: bridge, Kind: Docker, Name: n.Name, Isolated: n.Internal}
		if n.Options["com.docker.network.bridge.inhibit_ipv4"] != "true" { // it is to have none then
			for _, c := range n.IPAM.Config {
				found.Gateway = cmp.Or(found.Gateway, gatewayOf(c.Subnet, c.Gateway))
			}
		}
		all = append(all, found)
	}
	return all, nil
}

// libvirtNetwork is what libvirt writes of a network.
type libvirtNetwork struct {
	Name   string `xml:"name"`
	Bridge struct {
		Name string `xml:"name,attr"`
	} `xml:"bridge"`
	Forward *struct {
		Mode string `xml:"mode,attr"`
	} `xml:"forward"`
	IP []struct {
		Family  string    `xml:"family,attr"`
		Address string    `xml:"address,attr"`
		Netmask string    `xml:"netmask,attr"`
		Prefix  string    `xml:"prefix,attr"`
		DHCP    *struct{} `xml:"dhcp"`
	} `xml:"ip"`
}

// libvirt reads the networks that run, or else those that are defined.
func (o Options) libvirt(context.Context) (all []Network, err error) {
	for _, dir := range []string{"run/libvirt/network", "etc/libvirt/qemu/networks"} {
		files, failed := list(filepath.Join(o.Root, dir), "*.xml")
		err = errors.Join(err, failed)
		for _, path := range files {
			text, failed := read(path)
			if failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			n, failed := parseLibvirt(text)
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("read libvirt's network %s: %w", path, failed))
				continue
			}
			if n.Bridge != "" {
				all = append(all, n)
			}
		}
	}
	return all, err
}

// parseLibvirt reads a network, or the state of one, whose root is another.
func parseLibvirt(text []byte) (Network, error) {
	var state struct {
		XMLName xml.Name
		Network *libvirtNetwork `xml:"network"`
		libvirtNetwork
	}
	if err := xml.Unmarshal(text, &state); err != nil {
		return Network{}, err
	}
	x := state.libvirtNetwork
	if state.Network != nil {
		x = *state.Network
	}
	n := Network{Bridge: x.Bridge.Name, Kind: Libvirt, Name: x.Name, Isolated: x.Forward == nil}
	for _, ip := range x.IP {
		if ip.Family == "ipv6" {
			continue
		}
		n.DHCP = n.DHCP || ip.DHCP != nil
		bits := ip.Prefix
		if mask, err := netip.ParseAddr(ip.Netmask); err == nil {
			ones, _ := net.IPMask(mask.AsSlice()).Size()
			bits = strconv.Itoa(ones)
		}
		n.Gateway = cmp.Or(n.Gateway, gatewayOf(ip.Address+"/"+bits, ip.Address))
	}
	return n, nil
}

// podman reads netavark's networks. That of the name podman needs no file.
func (o Options) podman(context.Context) (all []Network, err error) {
	for _, dir := range []string{"etc/containers/networks", "var/lib/containers/storage/networks"} {
		files, failed := list(filepath.Join(o.Root, dir), "*.json")
		err = errors.Join(err, failed)
		for _, path := range files {
			var n struct {
				Name      string `json:"name"`
				Driver    string `json:"driver"`
				Interface string `json:"network_interface"`
				Internal  bool   `json:"internal"`
				Subnets   []struct {
					Subnet  string `json:"subnet"`
					Gateway string `json:"gateway"`
				} `json:"subnets"`
			}
			if failed := readJSON(path, &n); failed != nil {
				err = errors.Join(err, failed)
			} else if n.Interface != "" && (n.Driver == "" || n.Driver == "bridge") {
				found := Network{Bridge: n.Interface, Kind: Podman, Name: n.Name, Isolated: n.Internal}
				for _, s := range n.Subnets {
					found.Gateway = cmp.Or(found.Gateway, gatewayOf(s.Subnet, s.Gateway))
				}
				all = append(all, found)
			}
		}
	}
	return append(all, Network{Bridge: "podman0", Kind: Podman, Name: "podman"}), err
}

// cni reads the bridges of CNI's configurations.
func (o Options) cni(context.Context) (all []Network, err error) {
	type plugin struct {
		Type   string `json:"type"`
		Bridge string `json:"bridge"`
	}
	files, err := list(filepath.Join(o.Root, "etc/cni/net.d"), "*.conf*")
	for _, path := range files {
		var n struct {
			Name string `json:"name"`
			plugin
			Plugins []plugin `json:"plugins"`
		}
		if failed := readJSON(path, &n); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		for _, p := range append(n.Plugins, n.plugin) {
			if p.Type == "bridge" && p.Bridge != "" {
				all = append(all, Network{Bridge: p.Bridge, Kind: CNI, Name: n.Name})
			}
		}
	}
	return append(all, Network{Bridge: "cni0", Kind: CNI, Name: "cni0"}), err
}

// multipass names its one bridge itself.
func (o Options) multipass(context.Context) ([]Network, error) {
	return []Network{{Bridge: "mpqemubr0", Kind: Multipass, Name: "mpqemubr0", DHCP: true}}, nil
}

// list names the files of a directory that fit; none where it is not there.
func list(dir, pattern string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var all []string
	for _, e := range entries {
		if fits, err := filepath.Match(pattern, e.Name()); err == nil && fits && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all, nil
}

// read reads a small file.
func read(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a network: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if text, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, fmt.Errorf("read a network: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read a network: %s is larger than %d bytes", path, maxFile)
	}
	return text, nil
}

func readJSON(path string, into any) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the network %s: %w", path, err)
	}
	return nil
}
