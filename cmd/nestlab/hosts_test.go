package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// NESTLAB_HOSTS is an expression for the names of the rows that run; what came of each
// is appended to the file that NESTLAB_HOSTS_OUT names.
const (
	hostRows = "NESTLAB_HOSTS"
	hostOut  = "NESTLAB_HOSTS_OUT"
)

// row is one host: what was done to it, and what is right to say of it.
type row struct {
	name string
	// rules are files in testdata/hosts, loaded in this order.
	rules []string
	// commands run next; one that begins with "site:" runs at the site.
	commands []string
	// back takes the commands back that are not rules of nftables.
	back []string
	// do is what no command does.
	do func(*hostSuite)
	// truth is what is broken, in the words of somebody who knows networks.
	truth string
	// places must be named, all and no other; none for a healthy host.
	places []string
	// names are expressions that must match the answer.
	names []string
	// hurt is what the check by hand must see broken: place and probe.
	hurt []string
}

const (
	onRunner  = "runner"
	onBridge  = "bridge " + observetest.Bridge
	onDocker  = "bridge " + docker
	onLibvirt = "bridge " + libvirt
)

func TestHosts(t *testing.T) {
	expression := os.Getenv(hostRows)
	if expression == "" {
		t.Skipf("set %s to an expression for the rows that are to run: each takes up to a minute", hostRows)
	}
	if !nettest.Isolated(t) {
		return
	}
	chosen := regexp.MustCompile(expression)
	w := newHostSuite(t)
	for _, r := range slices.Concat(hostsFaults(), hostsFaultsBelow(), hostsPairs(), hostsMore(), hostsHealthy(),
		hostsThird(), hostsThirdNAT(), hostsThirdBelow(), hostsThirdLinks(), hostsThirdNames(), hostsThirdPairs(), hostsThirdHealthy(), hostsBeyond()) {
		if chosen.MatchString(r.name) {
			w.try(r)
		}
	}
}

// try breaks the host, has it examined, fixed and reverted, and makes it as it was.
func (w *hostSuite) try(r row) {
	w.t.Helper()
	clean := w.everything()
	for _, file := range r.rules {
		w.load(file)
	}
	for _, c := range r.commands {
		w.command(c)
	}
	if r.do != nil {
		r.do(w)
	}
	w.flush()
	w.settled()
	hand := w.byHand()
	for _, h := range r.hurt {
		if !slices.Contains(hand, h) {
			w.t.Errorf("%s: %s is not broken, only %v", r.name, h, hand)
		}
	}
	if len(r.places) == 0 && len(hand) > 0 {
		w.t.Errorf("%s: %v is broken, which is to be healthy", r.name, hand)
	}
	before, begin := w.everything(), time.Now()
	run, code, said := w.examine()
	c := outcome{row: r, hand: hand, seconds: time.Since(begin).Seconds(), code: code, diagnosis: run.Diagnosis, said: said}
	c.left = differ(before, w.everything())
	if len(r.places) > 0 {
		w.fixAndRevert(&c, before)
	}
	w.restore(r)
	c.write(w.t)
	if left := differ(clean, w.everything()); len(left) > 0 {
		w.t.Errorf("%s: the suite itself did not take it back: %q", r.name, left)
	}
}

// fixAndRevert has the doctor fix the host, examines it again, and reverts.
func (w *hostSuite) fixAndRevert(c *outcome, before string) {
	w.t.Helper()
	out, err := w.doctor("--fix").CombinedOutput()
	var exit interface{ ExitCode() int }
	require.True(w.t, err == nil || errors.As(err, &exit), "%v", err)
	c.text = string(out)
	c.handFixed = w.byHand()
	run, code, _ := w.examine("--no-intervene")
	c.fixed = fmt.Sprintf("%s (%d)", run.Diagnosis.Verdict, code)
	out, err = w.nestlab("remedy", "revert", "--journal", filepath.Join(w.dir, "journal.json")).CombinedOutput()
	if err != nil {
		c.reverted = append(c.reverted, "revert: "+err.Error()+": "+string(out))
	}
	c.reverted = append(c.reverted, differ(before, w.everything())...)
}

// restore takes a row back, whatever a doctor left.
func (w *hostSuite) restore(r row) {
	w.t.Helper()
	for _, c := range r.back {
		w.command(c)
	}
	w.resolvers(observetest.Site.String())
	w.nft("flush ruleset")
	w.nft("table inet nat { chain post { type nat hook postrouting priority srcnat; oifname " + observetest.Uplink + " masquerade; }; }")
	if w.ownNames {
		w.names("--server=" + observetest.Site.String())
		w.ownNames = false
	}
	w.flush()
	w.settled()
	await.True(w.t, func() bool { return len(w.byHand()) == 0 }, "%s: the suite is broken: %v", r.name, w.byHand())
}

// hostSuite is a test host whose bridges have guests, and whose site is as the internet: it
// knows no way back to private networks.
type hostSuite struct {
	*testHost
	bridgeGuests []bridgeGuest
	ownNames     bool // dnsmasq is not the first one
	resolver     string
}

func newHostSuite(t *testing.T) *hostSuite {
	t.Helper()
	w := &hostSuite{testHost: newTestHost(t), resolver: observetest.Site.String()}
	for _, network := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		w.Site.Add(t, network, netlink.Route{Type: unix.RTN_BLACKHOLE})
	}
	w.bridgeGuests = []bridgeGuest{
		{place: onRunner, resolver: func() string { return w.resolver }, six: true, do: func(f func()) { f() }},
		{place: onBridge, resolver: fixed(observetest.Gateway.String()), six: true, do: func(f func()) { w.Guest.Do(t, f) }},
		w.bridgeGuest(docker, "172.17.0.2/24", "172.17.0.1", func() string { return w.resolver }),
		w.bridgeGuest(libvirt, "192.168.122.20/24", "192.168.122.1", fixed("192.168.122.1")),
	}
	w.bridgeGuests[3].lease = true
	await.True(t, func() bool { return len(w.byHand()) == 0 }, "the suite is broken from the start: %v", w.byHand())
	await.True(t, func() bool { // a port gets its own address some time after its carrier
		before := w.everything()
		time.Sleep(time.Second)
		w.settled()
		return w.everything() == before
	}, "the host never comes to rest")
	return w
}

// load loads rules as the program that wrote them does: what ends in .v4 or .v6 is of
// iptables-save, all else of nft.
func (w *hostSuite) load(file string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hosts", file))
	require.NoError(w.t, err)
	words := map[string][]string{
		".v4": {"iptables-nft-restore", "--noflush"}, ".v6": {"ip6tables-nft-restore", "--noflush"}, ".nft": {"nft", "-f", "-"},
		".legacy": {"iptables-legacy-restore", "--noflush"},
	}[filepath.Ext(file)]
	w.feed(string(text), words...)
}

func (w *hostSuite) command(line string) {
	w.t.Helper()
	site, at := strings.CutPrefix(line, "site:")
	words := strings.Fields(site)
	if !at {
		w.run(words[0], words[1:]...)
		return
	}
	w.run("nsenter", append([]string{"--net=/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(w.Site.FD())}, words...)...)
}

// flush forgets connections, so that each is seen from its first packet.
func (w *hostSuite) flush() {
	w.t.Helper()
	require.NoError(w.t, w.Router.ConntrackTableFlush(netlink.ConntrackTable))
}

// changing is what is another text each time, and the tables that iptables-legacy makes as it looks.
var changing = regexp.MustCompile(` (expires|age|used) \S+|qlen \d+|(?m:^(#.*|\*\w+|COMMIT|:\w+ ACCEPT .*)$)`)

// everything is the state that a doctor is to leave, and what else it could have touched.
func (w *hostSuite) everything() string {
	w.t.Helper()
	all := []string{w.state()}
	for _, c := range []string{"tc qdisc show", "ip xfrm policy", "iptables-legacy-save", "ip neigh show nud permanent", "ip -6 rule", "sysctl -a --pattern net.bridge"} {
		words := strings.Fields(c)
		all = append(all, counts.ReplaceAllString(changing.ReplaceAllString(w.run(words[0], words[1:]...), ""), ""))
	}
	return strings.Join(all, "\n")
}

// outcome is what came of a row.
type outcome struct {
	row
	hand, handFixed []string
	seconds         float64
	code            int
	diagnosis       model.Diagnosis
	said, text      string
	fixed           string
	left, reverted  []string
}

// findings are the causes that were named, with their places.
func (c *outcome) findings() (all []string, places []string) {
	for _, f := range append([]model.Finding{c.diagnosis.Finding}, c.diagnosis.Further...) {
		if f.Cause != "" {
			all = append(all, fmt.Sprintf("%s %s %v", f.Cause, f.Confidence, f.Environments))
			places = append(places, f.Environments...)
		}
	}
	slices.Sort(places)
	return all, slices.Compact(places)
}

// judge compares the answer with the truth, as far as a program can.
func (c *outcome) judge() string {
	if len(c.places) == 0 {
		if c.diagnosis.Verdict == model.Healthy && c.code == 0 && len(c.left) == 0 {
			return "right"
		}
		return "WRONG: healthy"
	}
	if c.diagnosis.Verdict != model.CauseFound {
		return string(c.diagnosis.Verdict)
	}
	_, places := c.findings()
	text, err := json.Marshal([]any{c.diagnosis.Finding, c.diagnosis.Further, c.diagnosis.Summary})
	if err != nil {
		return err.Error()
	}
	var missing []string
	for _, n := range c.names {
		if !regexp.MustCompile(n).Match(text) {
			missing = append(missing, n)
		}
	}
	want := slices.Sorted(slices.Values(c.places))
	if !slices.Equal(want, places) {
		missing = append(missing, fmt.Sprintf("places %v", want))
	}
	if len(missing) > 0 {
		return "part: misses " + strings.Join(missing, ", ")
	}
	return "right"
}

// write appends the outcome to the file that is asked for.
func (c *outcome) write(t *testing.T) {
	t.Helper()
	findings, _ := c.findings()
	head := strings.SplitN(c.diagnosis.Summary, "\n", 9)
	text := fmt.Sprintf("## %s: %s\ntruth: %s\nby hand: %v\nanswer: %s (%d) %.1f s\nfindings: %s\nsummary:\n%s\nafter --fix: %s, by hand %v\nleft by examine: %q\nleft by revert: %q\n\n<answer>\n%s\n%s\n</answer>\n\n",
		c.name, c.judge(), c.truth, c.hand, c.diagnosis.Verdict, c.code, c.seconds, strings.Join(findings, "; "),
		strings.Join(head[:min(8, len(head))], "\n"), c.fixed, c.handFixed, c.left, c.reverted, c.text, c.said)
	t.Logf("%s: %s, %s; fixed: %s; left %d, %d", c.name, c.judge(), strings.Join(findings, "; "), c.fixed, len(c.left), len(c.reverted))
	if os.Getenv(hostOut) == "" {
		return
	}
	f, err := os.OpenFile(os.Getenv(hostOut), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, errors.Join(err, f.Close()))
}
