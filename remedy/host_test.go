package remedy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/nettest"
)

const (
	bridge = "nlbr0"
	// devices is where the tests' own /dev/kvm is.
	devices    = fixtures + "/devices"
	daemonJSON = "/etc/docker/daemon.json"
	// own is the nameserver of the tests.
	own = "127.0.0.1:5353"
)

// run runs a program of the machine.
func run(t *testing.T, words ...string) string {
	t.Helper()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", words, out)
	return string(out)
}

// lines runs one program for each line.
func lines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			run(t, words...)
		}
	}
}

// machine makes what remedies are for: a bridge, a Docker whose policy drops, a
// firewall, files and a nameserver. Each test has its own.
func machine(t *testing.T) {
	t.Helper()
	flush(t)
	t.Cleanup(func() { flush(t) })
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, MTU: 1500}}
	require.NoError(t, netlink.LinkAdd(link))
	t.Cleanup(func() { require.NoError(t, netlink.LinkDel(link)) })
	require.NoError(t, netlink.LinkSetUp(link))
	nettest.Address(t, nil, bridge, "10.77.0.1/24")
	nettest.Address(t, nil, bridge, "fd42:77::1/64")
	for _, program := range []string{"iptables-nft", "ip6tables-nft"} {
		for _, words := range []string{"-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -j RETURN"} {
			run(t, append([]string{program}, strings.Fields(words)...)...)
		}
	}
	for _, s := range []string{"ipv4/ip_forward=0", "ipv6/conf/all/forwarding=0", "ipv4/conf/nlbr0/forwarding=1", "ipv6/conf/nlbr0/forwarding=1"} {
		path, value, _ := strings.Cut(s, "=")
		require.NoError(t, os.WriteFile("/proc/sys/net/"+path, []byte(value), 0o644))
	}
	require.NoError(t, os.WriteFile(daemonJSON, []byte("{ \"unknown\":[1,2.50],\n\t\"registry-mirrors\": [\"https://old.example\"] }"), 0o640))
	then := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	require.NoError(t, os.Chown(daemonJSON, 12, 34))
	require.NoError(t, os.Chtimes(daemonJSON, then, then))
	kvm(t)
	nameserver(t)
	docker(t, "28.5.2")
	fakeLXD(t)
}

// flush leaves no rule of any program.
func flush(t *testing.T) {
	t.Helper()
	run(t, "nft", "flush", "ruleset")
}

func kvm(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(devices))
	require.NoError(t, os.MkdirAll(devices, 0o755))
	path := filepath.Join(devices, "kvm")
	t.Cleanup(func() {
		for unix.Unmount(path, unix.MNT_DETACH) == nil { // as many as lie one over the other
		}
		require.NoError(t, os.RemoveAll(devices))
	})
	require.NoError(t, unix.Mknod(path, syscall.S_IFCHR|0o600, int(unix.Mkdev(10, 232))))
	require.NoError(t, os.Chmod(path, 0o660))
}

// nameserver answers every name with one address.
func nameserver(t *testing.T) {
	t.Helper()
	packets, err := net.ListenPacket("udp", own)
	require.NoError(t, err)
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A 198.51.100.10")
		if err == nil {
			a.Answer = append(a.Answer, rr)
		}
		_ = w.WriteMsg(a)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		require.NoError(t, packets.Close())
		<-ended
	})
}

// docker answers for a daemon of a version.
func docker(t *testing.T, version string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.43")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Version":%q,"ApiVersion":"1.43"}`, version)
	})}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	t.Setenv("DOCKER_HOST", "unix://"+socket)
}

// authority writes a certificate, of an authority or not.
func authority(t *testing.T, is bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nestlab test"}, IsCA: is, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	return path
}
