package diagnose

import "github.com/nestlab/nestlab/remedy/catalogue"

// surroundingRules are what decides about packets beside what drops and routes them. What
// each of them rests on is a fact of the runner that nothing else explains.
var surroundingRules = []Rule{
	{
		Cause: CauseAltered, layer: layerForwarding,
		Title:    "A rule on the runner changes these packets so that no answer finds them",
		About:    "a rule was seen to take packets of the probes out of NAT, to give them a source that the runner does not have, to keep their answers in another zone, or to leave them no TTL",
		Remedies: []string{catalogue.AcceptBefore, catalogue.NATOn},
		means:    "A rule on the runner changes these packets so that no answer finds its way back",
	},
	{
		Cause: CauseTrafficControl, layer: layerForwarding,
		Title: "Traffic control drops these packets, or takes them elsewhere",
		About: "a queueing discipline of an interface of the runner drops packets or has too small a rate, or one of its filters (tc) drops them or hands them to another interface",
		means: "Traffic control on the runner (tc) keeps these packets from going on",
		match: matchTrafficControl,
	},
	{
		Cause: CauseIPsecPolicy, layer: layerForwarding,
		Title: "An IPsec policy drops these packets",
		About: "a policy of the kernel's IPsec blocks packets, or wants them encrypted by who is not there",
		means: "An IPsec policy on the runner (ip xfrm policy) drops these packets",
		match: matchIPsec,
	},
	{
		Cause: CauseARPOff, layer: layerForwarding,
		Title:    "ARP is switched off on the interface",
		About:    "an interface of the runner does not answer who asks for its address (the flag NOARP, or arp_ignore=8)",
		Remedies: []string{catalogue.ARPOn, catalogue.ARPAnswer},
		means:    "ARP is switched off on an interface of the runner, so that neighbours do not find each other",
		match:    matchARPOff,
	},
	{
		Cause: CauseStaticNeighbour, layer: layerForwarding,
		Title:    "A permanent neighbour entry sends packets to the wrong machine",
		About:    "an entry that somebody wrote into the neighbour table gives an address a MAC that does not answer",
		Remedies: []string{catalogue.NeighbourAsk},
		means:    "A permanent entry in the runner's neighbour table sends these packets to a MAC address that does not answer",
		match:    matchStaticNeighbour,
	},
	{
		Cause: CauseDuplicateAddress, layer: layerRunner,
		Title: "Another machine has an address of the runner",
		About: "who asks by ARP for the address that the runner's packets leave with is answered by another machine, to which answers go",
		means: "Another machine has the same address as the runner, so that answers go there: give one of them another address",
		match: matchDuplicate,
	},
	{
		Cause: CauseOtherMAC, layer: layerForwarding,
		Title: "Packets come for another MAC address than the interface has",
		About: "packets to an address of the runner, or answers, come in frames for another MAC address, as their sender remembers, and are not taken",
		means: "Whoever sends these packets remembers another MAC address for this machine than it has, so that they are not taken",
	},
	{
		Cause: CauseConntrackTimeout, layer: layerForwarding,
		Title:    "Connections are forgotten before they are answered",
		About:    "a timeout of connection tracking is too short: answers are not translated back",
		Remedies: []string{catalogue.ConntrackTimeout},
		means:    "Connection tracking on the runner forgets connections before they are answered",
		match:    matchConntrackTimeout,
	},
	{
		Cause: CauseLocalPorts, layer: layerRunner,
		Title: "There are too few local ports for connections",
		About: "the range of local ports (ip_local_port_range) is so small that connections find none",
		means: "There are too few local ports for the connections that are opened",
		match: matchLocalPorts,
	},
	{
		Cause: CauseResolverSilent, layer: layerGuest,
		Title:    "The first resolver of resolv.conf does not answer",
		Remedies: []string{catalogue.DNSForwarder},
		About:    "a resolver that is asked first answers nobody, and one behind it does; or guests are given a resolver that nobody has, one that is not the runner's and does not answer, or one that gets no answers itself from the servers that it asks",
		means:    "A resolver that names depend on does not answer",
		match:    matchResolverSilent,
	},
	{
		Cause: CauseNamesDiffer, layer: layerGuest,
		Title: "Names have other addresses here than the resolver gives them",
		About: "a line of /etc/hosts, or what the guests' own resolver was told, gives names other addresses than the runner's resolver, or none; or that resolver answers that it will not or cannot",
		means: "Names have other addresses here than the resolver gives them, or none",
		match: matchNamesDiffer,
	},
	{
		Cause: CauseServerStopped, layer: layerGuest,
		Title: "Who serves DHCP or DNS on the bridge is stopped",
		About: "the process that has the bridge's socket for DHCP or DNS, or Docker's socket, is stopped by a signal (state T), and takes nothing",
		means: "The process that is to answer is stopped by a signal",
		match: matchServerStopped,
	},
	{
		Cause: CauseDHCPServer, layer: layerGuest,
		Title: "The DHCP server of the bridge makes new guests no offer",
		About: "requests reach the bridge's DHCP server and it makes no offer, as all of its addresses are taken or it serves known guests alone; a second server answers guests first; or the netmask or the routes that guests are given leave them without a default route",
		means: "What the DHCP server tells guests does not work, or it tells them nothing",
		match: matchDHCPServer,
	},
}
