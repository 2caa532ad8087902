package diagnose

import "github.com/nestlab/nestlab/model"

// discovers is the protocol by which neighbours find each other, where nothing else ended;
// else empty.
func (k killer) discovers() string {
	found := ""
	for _, f := range k.Flows {
		if f.Protocol != model.ProtocolARP && f.Protocol != model.ProtocolNDP || found != "" && found != f.Protocol {
			return ""
		}
		found = f.Protocol
	}
	return found
}

// matchesDiscovery limits what is accepted to the packets by which neighbours find each
// other, on all links: who is behind the bridge has to be found, and who is behind the uplink.
func (k killer) matchesDiscovery(parameters map[string]string) bool {
	if k.discovers() == model.ProtocolNDP {
		parameters["ports"] = "ipv6-icmp/135,ipv6-icmp/136"
	} else if k.Rule.Family != "arp" {
		parameters["ports"] = model.ProtocolARP
	}
	return true
}
