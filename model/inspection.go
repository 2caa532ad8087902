package model

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Inspection is what a place sees of its own network at the moment when the first
// probe of a round has failed in it, and what its own interfaces saw all the while.
type Inspection struct {
	Place
	Round string    `json:"round"`
	Taken time.Time `json:"taken"`
	// Probe and Target name the failure.
	Probe  string `json:"probe"`
	Target string `json:"target"`

	Interfaces []Interface `json:"interfaces"`
	Routes     []Route     `json:"routes"`
	Neighbours []Neighbour `json:"neighbours"`
	// Resolvers are the servers of /etc/resolv.conf at that moment.
	Resolvers []string `json:"resolvers"`
	// Dockerd is the end of the Docker daemon's log, line by line, where it does not answer,
	// or Docker was to be installed there and a probe of it failed.
	Dockerd []string `json:"dockerd,omitempty"`
	// Tasks is the limit of processes of the cgroup of dockerd's containers, where a probe of
	// these failed; nil for none.
	Tasks *CgroupTasks `json:"tasks,omitempty"`
	// LogServer is who dockerd's containers are to log to, where a probe of these failed; nil
	// where that is no server that can be tried.
	LogServer *LogServer `json:"log_server,omitempty"`
	// NICs are the place's own interfaces; none where they could not be watched.
	NICs []NIC `json:"nics,omitempty"`
	// DHCP is what came of asking for an address: as a stand-in started, the offer that it took
	// first, and again by interfaces that have none.
	DHCP []DHCPOffer `json:"dhcp,omitempty"`
	// Errors says what could not be read or counted and why.
	Errors []string `json:"errors,omitempty"`
}

// DHCPOffer is what a DHCP server offers on an interface; Error says why there is none.
type DHCPOffer struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address,omitzero"`
	Server    netip.Addr `json:"server,omitzero"`
	// MAC is the hardware address of who has the server's address, where several answered.
	MAC string `json:"mac,omitempty"`
	// Bits is the length of the netmask, Router the first one (option 3), Routes how many
	// classless static routes there are (option 121), which clients take instead, and Classless
	// the gateway of the default one among them.
	Bits      int          `json:"bits,omitempty"`
	Router    netip.Addr   `json:"router,omitzero"`
	Routes    int          `json:"routes,omitempty"`
	Classless netip.Addr   `json:"classless,omitzero"`
	Resolvers []netip.Addr `json:"resolvers,omitempty"`
	Error     string       `json:"error,omitempty"`
}

// Gateway is that of the default route that a client makes of an offer.
func (o DHCPOffer) Gateway() netip.Addr {
	if o.Routes > 0 {
		return o.Classless
	}
	return o.Router
}

// Neighbour is a machine on a link of the place, as its kernel knows it.
type Neighbour struct {
	Address string `json:"address"`
	Device  string `json:"device"`
	MAC     string `json:"mac,omitempty"`
	// State is the kernel's: reachable, stale, delay, probe, incomplete, failed,
	// permanent or noarp.
	State string `json:"state"`
}

// NIC is what went out of and came into an interface of the place in the round,
// counted there: IPv4, TCP and ICMP with the targets that were tried, and DNS.
type NIC struct {
	Interface string `json:"interface"`
	Flow      Flow   `json:"flow"`
}

// Ref is how evidence points at the inspection.
func (i Inspection) Ref() string { return "inspections/" + i.Key() + "/" + i.Round }

// Inspection is that of a place in a round; false where nothing failed there.
func (r Run) Inspection(p Place, round string) (Inspection, bool) {
	for _, i := range r.Inspections {
		if i.Place == p && i.Round == round {
			return i, true
		}
	}
	return Inspection{}, false
}

// NIC is the place's own interface by which most TCP SYNs left; false where
// none could be watched.
func (i Inspection) NIC() (NIC, bool) {
	if len(i.NICs) == 0 {
		return NIC{}, false
	}
	return slices.MaxFunc(i.NICs, func(a, b NIC) int { return cmp.Compare(a.Flow.SYN, b.Flow.SYN) }), true
}

// Unnamed reports whether a result failed as nobody answered a question for a name.
func (r Result) Unnamed() bool {
	return len(r.Detail.Dials) == 0 && (r.Reason == DNSTimeout || r.Reason == Unreachable)
}

// Dialled are the addresses and ports that a result's probe tried; of an echo request the
// port is 0.
func (r Result) Dialled() []netip.AddrPort {
	var all []netip.AddrPort
	if a, err := netip.ParseAddr(r.Detail.Values["address"]); err == nil { // of an echo request
		all = append(all, netip.AddrPortFrom(a, 0))
	}
	for _, d := range r.Detail.Dials {
		if at, err := netip.ParseAddrPort(d.Address); err == nil {
			all = append(all, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
		}
	}
	return all
}

// Tried are the addresses of them.
func (r Result) Tried() []netip.Addr {
	var all []netip.Addr
	for _, at := range r.Dialled() {
		all = append(all, at.Addr())
	}
	return all
}
