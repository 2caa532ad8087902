package facts

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"github.com/nestlab/nestlab/model"
)

// offerWithin is how long a DHCP server has for its offer, which takes it milliseconds
// where nothing is in the way.
const offerWithin = 2 * time.Second

// askDHCP asks for an address on each interface of the place that is up and has none, and
// takes none: an offer that is not accepted binds nobody.
func askDHCP(ctx context.Context, all []model.Interface) []model.DHCPOffer {
	var offers []model.DHCPOffer
	for _, i := range all {
		if i.Up && i.MAC != "" && i.Master == "" && i.Type != "bridge" && !leasedFrom(i) && len(offers) < 2 {
			offers = append(offers, discover(ctx, i.Name))
		}
	}
	return offers
}

// leasedFrom reports whether an interface has an IPv4 address that others can answer to.
func leasedFrom(i model.Interface) bool {
	for _, text := range i.Addresses {
		if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() && !p.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

func discover(ctx context.Context, name string) model.DHCPOffer {
	o := model.DHCPOffer{Interface: name}
	ctx, cancel := context.WithTimeout(ctx, offerWithin)
	defer cancel()
	client, err := nclient4.New(name, nclient4.WithTimeout(offerWithin/2), nclient4.WithRetry(2))
	if err != nil {
		o.Error = fmt.Sprintf("open a socket for DHCP: %v", err)
		return o
	}
	defer func() { _ = client.Close() }() // nothing is sent by it any more
	offer, err := client.DiscoverOffer(ctx)
	if err != nil {
		o.Error = fmt.Sprintf("ask for an address: %v", err)
		return o
	}
	o.Address, _ = netip.AddrFromSlice(offer.YourIPAddr.To4())
	o.Server, _ = netip.AddrFromSlice(offer.ServerIdentifier().To4())
	return o
}
