package model

// The roles of the runner's interfaces.
const (
	RoleBridge = "bridge" // a bridge that guests are attached to
	RoleUplink = "uplink" // what the runner's default routes leave by
	RoleOther  = "other"  // anything else that is up, such as a tap of its own
)

// Hop is what one interface of the runner saw while one place was probed: IPv4
// only, openings of TCP connections, UDP and ICMP; the data of TCP connections
// is not counted.
type Hop struct {
	Interface string `json:"interface"`
	Role      string `json:"role"`
	// Place is what went from and to the place's own addresses. On the uplink
	// these are packets that were not translated (NAT).
	Place Flow `json:"place"`
	// Runner is what went from and to the runner's own addresses. On the uplink
	// that is where translated packets of the place are, indistinguishable from
	// the runner's own: TCP and ICMP are counted towards the targets only that the
	// place tried, and places are probed one at a time.
	Runner Flow `json:"runner"`
}

// Flow counts packets of one end: out are those from it, back those to it.
type Flow struct {
	Out          uint64 `json:"out"`
	Back         uint64 `json:"back"`
	SYN          uint64 `json:"syn"`           // TCP SYNs out
	SYNACK       uint64 `json:"syn_ack"`       // their answers back
	Resets       uint64 `json:"resets"`        // TCP resets back
	DNSQueries   uint64 `json:"dns_queries"`   // to UDP port 53, out
	DNSAnswers   uint64 `json:"dns_answers"`   // from UDP port 53, back
	EchoRequests uint64 `json:"echo_requests"` // ICMP, out
	EchoReplies  uint64 `json:"echo_replies"`  // ICMP, back
}

// Add is the sum of two flows.
func (f Flow) Add(g Flow) Flow {
	return Flow{
		Out: f.Out + g.Out, Back: f.Back + g.Back, SYN: f.SYN + g.SYN, SYNACK: f.SYNACK + g.SYNACK,
		Resets: f.Resets + g.Resets, DNSQueries: f.DNSQueries + g.DNSQueries, DNSAnswers: f.DNSAnswers + g.DNSAnswers,
		EchoRequests: f.EchoRequests + g.EchoRequests, EchoReplies: f.EchoReplies + g.EchoReplies,
	}
}

// Uplink is what the interface saw that the place's packets leave the runner by: the one
// that their own route leads to, as a VPN's may, else that of the default route. It is false
// where that was not watched.
func (w Watch) Uplink() (Hop, bool) {
	if h, ok := w.Hop(w.wayOut()); ok && h.Role != RoleBridge {
		return h, true
	}
	for _, h := range w.Hops {
		if h.Role == RoleUplink {
			return h, true
		}
	}
	return Hop{}, false
}

// wayOut is the interface that all that the place tried over IPv4 leaves by, by the routes of
// the table main; empty for several, for none, and where a policy rule chooses.
func (w Watch) wayOut() string {
	if w.Sightings == nil {
		return ""
	}
	out := ""
	for _, d := range w.Sightings.Decisions {
		if d.Reply || !d.Destination.Is4() || d.Kind == "local" {
			continue
		}
		if d.Out == "" || d.Rule != "" || d.Main != d.Out || out != "" && out != d.Out {
			return ""
		}
		out = d.Out
	}
	return out
}

// Hop is what one interface saw; false where it was not watched.
func (w Watch) Hop(name string) (Hop, bool) {
	for _, h := range w.Hops {
		if h.Interface == name {
			return h, true
		}
	}
	return Hop{}, false
}
