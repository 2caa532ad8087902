package real

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/host"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec/targets"
)

// wanted is what both places probe: each waits no longer for what does not come.
var wanted = targets.Set{
	Version: 1, Name: "random",
	Deadlines: map[string]targets.Duration{
		targets.DeadlineConnect: short, model.ProbeDNSA: short, model.ProbeDNSAAAA: short, model.ProbeICMP: short,
	},
	DNS:  []string{"site.test"},
	TCP:  []string{netip.AddrPortFrom(observetest.Site, 80).String(), netip.AddrPortFrom(observetest.Site6, 80).String()},
	HTTP: []string{"http://" + observetest.Site.String() + "/"},
	ICMP: []string{observetest.Site.String()},
}

const short = targets.Duration(500 * time.Millisecond)

// lab is a network with what is asked for in it: names on the bridge's addresses and at
// the site, and a page at the site.
type lab struct {
	*observetest.Network
	dir string
	// resolver is the guest's, on the bridge.
	resolver netip.Addr
	// strangers has the ends know no neighbours when they are probed.
	strangers bool
	// byName has everything asked for by its name.
	byName bool
	// noisy has the guest send what nobody needs, patient has probes wait for long.
	noisy, patient bool
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Network: observetest.New(t), dir: t.TempDir(), resolver: observetest.Gateway}
	for at, names := range map[*observetest.Place][]string{l.Router: {observetest.Bridge, observetest.Uplink}, l.Guest: {observetest.NIC}, l.Site: {observetest.NIC}} {
		at.Do(t, func() {
			for _, name := range names { // not once a second: probes do not wait that long here
				set(t, "net/ipv4/neigh/"+name+"/retrans_time_ms", "100")
				set(t, "net/ipv6/neigh/"+name+"/retrans_time_ms", "100")
			}
		})
	}
	for _, a := range []netip.Addr{observetest.Site, observetest.Site6} {
		l.Site.Do(t, func() { observetest.ServeWeb(t, netip.AddrPortFrom(a, 80)) })
		l.Site.Do(t, func() { observetest.ServeNames(t, netip.AddrPortFrom(a, 53)) })
	}
	for _, a := range []netip.Addr{observetest.Gateway, observetest.Gateway6} {
		observetest.ServeNames(t, netip.AddrPortFrom(a, 53))
	}
	return l
}

// nameservers are those of a resolv.conf.
func nameservers(conf string) ([]string, error) {
	c, err := dns.ClientConfigFromFile(conf)
	if err != nil {
		return nil, fmt.Errorf("read resolvers: %w", err)
	}
	return c.Servers, nil
}

// end is a place of the lab as an environment of a session.
type end struct {
	session.Local
	at       *observetest.Place
	resolver netip.Addr
	lab      *lab
	t        *testing.T
}

// Exec implements session.Environment: this binary probes, in the place's namespace.
func (e *end) Exec(ctx context.Context, c session.Command) (int, error) {
	if e.lab.strangers {
		if err := e.lab.forget(); err != nil {
			return -1, err
		}
	}
	if e.lab.noisy && e.at == e.lab.Guest {
		e.lab.noise(e.t)
	}
	conf := filepath.Join(e.lab.dir, e.At.Environment)
	if err := os.WriteFile(conf, []byte("nameserver "+e.resolver.String()+"\n"), 0o600); err != nil {
		return -1, err
	}
	cmd := exec.CommandContext(ctx, os.Args[0], c.Args...)
	cmd.Env = append(os.Environ(), resolvConf+"="+conf)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	var err error
	e.at.Do(e.t, func() { err = cmd.Run() })
	return cmd.ProcessState.ExitCode(), err
}

// forget has the guest, the router and the site know no neighbours.
func (l *lab) forget() error {
	for _, p := range []*observetest.Place{l.Guest, l.Router, l.Site} {
		for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
			all, err := p.NeighList(0, family)
			if err != nil {
				return fmt.Errorf("list neighbours: %w", err)
			}
			for i := range all {
				if all[i].State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0 {
					continue
				}
				if err := p.NeighDel(&all[i]); err != nil {
					return fmt.Errorf("forget %s: %w", all[i].IP, err)
				}
			}
		}
	}
	return nil
}

// run carries out a run as it is on a host, and tells what it said on its way.
func (l *lab) run(t *testing.T) (model.Run, string) {
	t.Helper()
	place := func(environment string, at *observetest.Place, resolver netip.Addr) *end {
		return &end{Local: session.Local{At: model.Place{Environment: environment}, With: []string{model.SuiteNetwork}}, at: at, resolver: resolver, lab: l, t: t}
	}
	aim := wanted
	if l.patient {
		aim.Deadlines = nil
	}
	if l.byName {
		aim.TCP, aim.HTTP, aim.ICMP = []string{"site.test:80"}, []string{"http://site.test/"}, nil
	}
	text, err := aim.Encode()
	require.NoError(t, err)
	me, err := owner.Self("")
	require.NoError(t, err)
	var progress bytes.Buffer
	s := &session.Session{
		ID:      me.Run,
		Lanes:   [][]session.Environment{{place(model.EnvRunner, l.Router, observetest.Site), place(model.EnvLXDContainer, l.Guest, l.resolver)}},
		Targets: text, Platform: model.PlatformUnknown, ProbeTimeout: 30 * time.Second,
		Append:   func(model.Entry) error { return nil },
		Host:     host.Here(remedy.Host{Journal: filepath.Join(l.dir, "journal.json"), Owner: &me}, true),
		Progress: &progress,
	}
	plan := model.Plan{Command: "compare", Internet: "live", Targets: wanted.Name, Platform: model.PlatformUnknown, Intervene: true, Items: session.Items(s.Lanes)}
	run, err := s.Run(t.Context(), plan, "test")
	require.NoError(t, err, "%s", &progress)
	return run, progress.String()
}

// clear removes all rules of the router, and what connections of the case before were
// translated to: a later one from such a port is lost to the kernel.
func (l *lab) clear(t *testing.T) {
	t.Helper()
	nft(t, "flush ruleset")
	require.NoError(t, l.Router.ConntrackTableFlush(netlink.ConntrackTable))
}

// nft has nft take rules.
func nft(t *testing.T, rules string) {
	t.Helper()
	command(t, rules, "nft", "-f", "-")
}

func command(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s%s", name, args, input, out)
	return string(out)
}

var counted = regexp.MustCompile(`packets \d+ bytes \d+`)

// ruleset is all rules, without what they counted.
func ruleset(t *testing.T) string {
	t.Helper()
	return counted.ReplaceAllString(command(t, "", "nft", "list", "ruleset"), "")
}

// set writes a sysctl of the calling thread's namespace.
func set(t *testing.T, name, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile("/proc/sys/"+name, []byte(value), 0o644))
}
