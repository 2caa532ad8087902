package ruleset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// Source names this source of sightings where it is unavailable.
const Source = "nf_tables rule set"

// Options say how much is read.
type Options struct {
	// Programs has rules shown in the words of nft and iptables-nft-save, where they
	// are installed. It takes their time: some 10 ms each.
	Programs bool
}

// Read reads the rule set of the network namespace of the calling thread. Where it
// cannot be had at all the error is an *observe.Unavailable; what else is missing
// is in the view. It needs CAP_NET_ADMIN.
func Read(ctx context.Context, o Options) (view *View, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, Unavailable(Source, fmt.Errorf("open netlink: %w", err))
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	d, err := read(conn)
	if err != nil {
		return nil, Unavailable(Source, err)
	}
	view, err = d.view(conn)
	if err != nil {
		return nil, err
	}
	missing, err := Legacy()
	if err != nil {
		return nil, err
	}
	if missing != nil {
		view.Missing = append(view.Missing, *missing)
	}
	if o.Programs {
		view.retell(ctx)
	}
	return view, nil
}

// Unavailable says why nf_tables did not answer, as an *observe.Unavailable; other
// errors it returns as they are.
func Unavailable(source string, err error) error {
	why := ""
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		why = "it needs CAP_NET_ADMIN in this network namespace: run as root, in a container as privileged or with the host's network and that capability"
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		why = "this kernel has no netfilter netlink (CONFIG_NETFILTER_NETLINK)"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		why = "this kernel has no nf_tables (CONFIG_NF_TABLES); its firewall, if any, is iptables-legacy's"
	default:
		return err
	}
	return &observe.Unavailable{Source: source, Why: why, Err: err}
}

// Legacy says which tables iptables-legacy has in the network namespace of the
// calling thread: nil where it has none. It makes none.
func Legacy() (*observe.Unavailable, error) {
	var tables []string
	for _, file := range []struct{ family, path string }{
		{"ip", "/proc/thread-self/net/ip_tables_names"}, {"ip6", "/proc/thread-self/net/ip6_tables_names"}, {"arp", "/proc/thread-self/net/arp_tables_names"},
	} {
		b, err := os.ReadFile(file.path)
		if errors.Is(err, os.ErrNotExist) {
			continue // this kernel has no legacy tables of the family
		}
		if errors.Is(err, os.ErrPermission) {
			return &observe.Unavailable{Source: LegacySource, Why: "which tables there are is only for root to read", Err: err}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read which legacy tables there are: %w", err)
		}
		for _, table := range strings.Fields(string(b)) {
			tables = append(tables, file.family+" "+table)
		}
	}
	if len(tables) == 0 {
		return nil, nil
	}
	return &observe.Unavailable{
		Source: LegacySource,
		Why:    fmt.Sprintf("its tables (%s) are none of nf_tables and have no trace; their counters and the kernel's drop reasons tell", strings.Join(tables, ", ")),
	}, nil
}

// LegacySource names the rules of iptables-legacy where they are unavailable.
const LegacySource = "iptables-legacy"

// view builds what was dumped together.
func (d *dump) view(conn *netlink.Conn) (*View, error) {
	v := &View{Tables: []Table{}, Chains: []Chain{}}
	for _, m := range d.tables {
		t, err := decodeTable(m)
		if err != nil {
			return nil, fmt.Errorf("decode a table: %w", err)
		}
		v.Tables = append(v.Tables, t)
	}
	for _, m := range d.chains {
		c, err := decodeChain(m)
		if err != nil {
			return nil, fmt.Errorf("decode a chain: %w", err)
		}
		v.Chains = append(v.Chains, c)
	}
	sets, err := decodeSets(conn, d.sets)
	if err != nil {
		return nil, err
	}
	for _, m := range d.rules {
		r, err := decodeRule(m)
		if err != nil {
			return nil, fmt.Errorf("decode a rule: %w", err)
		}
		r.complete(sets)
		r.Text = text(r.ChainID, r.exprs, sets)
		if c := v.Chain(r.ChainID); c != nil {
			r.Index = len(c.Rules)
			c.Rules = append(c.Rules, r.Rule)
		}
	}
	for key, s := range sets.all {
		if t := v.Table(key.family, key.table); t != nil && !s.anonymous {
			t.Sets = append(t.Sets, key.name)
		}
	}
	for i := range v.Tables {
		slices.Sort(v.Tables[i].Sets)
		v.Tables[i].XTables = v.managed(v.Tables[i])
	}
	return v, nil
}

// builtin are the base chains that iptables-nft and its kin make; nobody else may
// use these names in these tables.
var builtin = []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// managed reports whether iptables-nft or one of its kin manages a table.
func (v *View) managed(t Table) bool {
	switch {
	case (t.Family == IP || t.Family == IP6) && slices.Contains([]string{"filter", "nat", "mangle", "raw", "security"}, t.Name):
	case (t.Family == ARP || t.Family == Bridge) && (t.Name == "filter" || t.Name == "nat"):
	default:
		return false
	}
	return slices.ContainsFunc(v.Chains, func(c Chain) bool {
		return c.Family == t.Family && c.Table == t.Name && c.Base != nil && slices.Contains(builtin, c.Chain)
	})
}

// Tables lists the tables of the network namespace of the calling thread, without
// their sets and without XTables.
func Tables() (tables []Table, err error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, Unavailable(Source, fmt.Errorf("open netlink: %w", err))
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	all, err := list(conn, unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, nil)
	if err != nil {
		return nil, Unavailable(Source, fmt.Errorf("list tables: %w", err))
	}
	for _, m := range all {
		t, err := decodeTable(m)
		if err != nil {
			return nil, fmt.Errorf("decode a table: %w", err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}
