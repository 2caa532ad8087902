package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/await"
)

// bridgeGuest is where somebody checks by hand: a guest of the host, or the host.
type bridgeGuest struct {
	place    string
	resolver func() string
	six      bool // it has IPv6
	lease    bool // it has a DHCP server
	do       func(func())
}

func fixed(s string) func() string { return func() string { return s } }

// bridgeGuest puts a guest on a bridge until the test's end.
func (w *hostSuite) bridgeGuest(bridge, address, gateway string, resolver func() string) bridgeGuest {
	w.t.Helper()
	here, err := netns.Get()
	require.NoError(w.t, err)
	var there netns.NsHandle
	within(w.t, here, func() {
		there, err = netns.New()
		require.NoError(w.t, err)
		// New has moved this thread, and within moves it back.
	})
	guest := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tap-" + bridge, MasterIndex: w.Router.Link(w.t, bridge).Attrs().Index}, PeerName: observetest.NIC, PeerNamespace: netlink.NsFd(there)}
	require.NoError(w.t, w.Router.LinkAdd(guest))
	w.Router.Up(w.t, guest.Name)
	b := bridgeGuest{place: "bridge " + bridge, resolver: resolver, do: func(f func()) { within(w.t, there, f) }}
	b.do(func() {
		for _, c := range [][]string{{"link", "set", "lo", "up"}, {"link", "set", observetest.NIC, "up"}, {"address", "add", address, "dev", observetest.NIC}, {"route", "add", "default", "via", gateway}} {
			w.run("ip", c...)
		}
	})
	return b
}

// within runs f on a thread in a namespace. The thread goes back and lives on: with it
// went what it started.
func within(t *testing.T, ns netns.NsHandle, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		back, err := netns.Get()
		require.NoError(t, err)
		require.NoError(t, netns.Set(ns))
		f()
		require.NoError(t, errors.Join(netns.Set(back), back.Close()))
	}()
	<-done
}

// byHand checks every place, and tells what is broken.
func (w *hostSuite) byHand() []string {
	w.t.Helper()
	found := make(chan []string)
	for _, b := range w.bridgeGuests {
		go func() { found <- b.broken(w.t) }()
	}
	var all []string
	for range w.bridgeGuests {
		all = append(all, <-found...)
	}
	slices.Sort(all)
	return all
}

// broken tells what fails in the place.
func (b bridgeGuest) broken(t *testing.T) (all []string) {
	checks := []struct {
		name string
		off  bool
		do   func() error
	}{
		{"names", false, func() error { return resolve(b.resolver()) }},
		{"page", false, func() error { return page(observetest.Site) }},
		{"page6", !b.six, func() error { return page(observetest.Site6) }},
		{"lease", !b.lease, lease},
	}
	for _, c := range checks {
		if c.off {
			continue
		}
		var err error
		b.do(func() { err = c.do() })
		if err != nil {
			all = append(all, b.place+": "+c.name)
		}
	}
	return all
}

func resolve(resolver string) error {
	query := new(dns.Msg).SetQuestion("site.test.", dns.TypeA)
	client := dns.Client{Timeout: 1500 * time.Millisecond}
	answer, _, err := client.Exchange(query, net.JoinHostPort(resolver, "53"))
	if err == nil && len(answer.Answer) == 0 {
		return errors.New("no address: " + dns.RcodeToString[answer.Rcode])
	}
	return err
}

// page loads a page of 64 KiB.
func page(at netip.Addr) error {
	conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(at, 80).String(), 1500*time.Millisecond)
	if err != nil {
		return err
	}
	err = conn.SetDeadline(time.Now().Add(3 * time.Second))
	_, wrote := io.WriteString(conn, "GET /large HTTP/1.0\r\n\r\n")
	var body bytes.Buffer
	n, read := body.ReadFrom(conn)
	if n < 64<<10 && read == nil {
		read = io.ErrUnexpectedEOF
	}
	return errors.Join(err, wrote, read, conn.Close())
}

// lease asks for an address, and takes none.
func lease() error {
	client, err := nclient4.New(observetest.NIC, nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(2))
	if err != nil {
		return err
	}
	_, err = client.DiscoverOffer(context.Background())
	return errors.Join(err, client.Close())
}

// resolvers writes the host's resolv.conf; those who check by hand ask the first.
func (w *hostSuite) resolvers(all ...string) {
	w.t.Helper()
	w.resolver = all[0]
	text := "nameserver " + strings.Join(all, "\nnameserver ") + "\n"
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, "resolv.conf"), []byte(text), 0o644))
}

// names has another dnsmasq on the bridge that has one, started with these arguments.
func (w *hostSuite) names(args ...string) {
	w.t.Helper()
	w.endNames()
	w.ownNames = true
	all := append([]string{"--keep-in-foreground", "--conf-file=/dev/null", "--interface=" + libvirt, "--bind-dynamic", "--except-interface=lo",
		"--dhcp-range=192.168.122.50,192.168.122.99", "--no-ping", "--no-resolv", "--no-hosts", "--pid-file=", "--dhcp-leasefile=" + filepath.Join(w.dir, "leases"), "--user=root"}, args...)
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), "dnsmasq", all...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() {
		require.NoError(w.t, cmd.Process.Kill())
		require.Error(w.t, cmd.Wait())
	})
	await.True(w.t, func() bool { return w.serves() }, "dnsmasq never came")
}

// serves tells whether somebody has the port of DHCP servers.
func (w *hostSuite) serves() bool {
	text, err := os.ReadFile("/proc/self/net/udp")
	require.NoError(w.t, err)
	return bytes.Contains(text, []byte(":0043 "))
}

// endNames ends the dnsmasq that runs on the host.
func (w *hostSuite) endNames() {
	w.t.Helper()
	all, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(w.t, err)
	for _, file := range all {
		children, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range strings.FieldsSeq(string(children)) {
			comm, err := os.ReadFile("/proc/" + child + "/comm")
			if err != nil || string(comm) != "dnsmasq\n" {
				continue // it has ended meanwhile, or is another program
			}
			pid, err := strconv.Atoi(child)
			require.NoError(w.t, err)
			require.NoError(w.t, syscall.Kill(pid, unix.SIGKILL))
		}
	}
	await.True(w.t, func() bool { return !w.serves() }, "dnsmasq did not end")
}

// feed gives a program a text to read.
func (w *hostSuite) feed(text string, words ...string) {
	w.t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s: %s", text, out)
}
