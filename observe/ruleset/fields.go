package ruleset

import (
	"fmt"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// metaNames are nft's names of what the kernel knows beside a packet.
var metaNames = map[expr.MetaKey]string{
	expr.MetaKeyIIFNAME: "iifname", expr.MetaKeyOIFNAME: "oifname", expr.MetaKeyIIF: "iif", expr.MetaKeyOIF: "oif",
	expr.MetaKeyIIFTYPE: "iiftype", expr.MetaKeyOIFTYPE: "oiftype", expr.MetaKeyIIFGROUP: "iifgroup", expr.MetaKeyOIFGROUP: "oifgroup",
	expr.MetaKeyL4PROTO: "meta l4proto", expr.MetaKeyNFPROTO: "meta nfproto", expr.MetaKeyPROTOCOL: "meta protocol",
	expr.MetaKeyMARK: "meta mark", expr.MetaKeyLEN: "meta length", expr.MetaKeyPRIORITY: "meta priority",
	expr.MetaKeySKUID: "meta skuid", expr.MetaKeySKGID: "meta skgid", expr.MetaKeyNFTRACE: "meta nftrace",
	expr.MetaKeyPKTTYPE: "meta pkttype", expr.MetaKeyCPU: "meta cpu", expr.MetaKeyCGROUP: "meta cgroup",
	expr.MetaKeyBRIIIFNAME: "meta ibrname", expr.MetaKeyBRIOIFNAME: "meta obrname",
}

func metaName(k expr.MetaKey) string {
	if name, ok := metaNames[k]; ok {
		return name
	}
	return fmt.Sprintf("meta <%d>", k)
}

var ctNames = map[expr.CtKey]string{
	expr.CtKeySTATE: "state", expr.CtKeyDIRECTION: "direction", expr.CtKeySTATUS: "status", expr.CtKeyMARK: "mark",
	expr.CtKeyEXPIRATION: "expiration", expr.CtKeyHELPER: "helper", expr.CtKeyL3PROTOCOL: "l3proto",
	expr.CtKeySRC: "saddr", expr.CtKeyDST: "daddr", expr.CtKeyPROTOCOL: "protocol",
	expr.CtKeyPROTOSRC: "proto-src", expr.CtKeyPROTODST: "proto-dst", expr.CtKeyZONE: "zone",
	unix.NFT_CT_SRC_IP: "ip saddr", unix.NFT_CT_DST_IP: "ip daddr", unix.NFT_CT_SRC_IP6: "ip6 saddr", unix.NFT_CT_DST_IP6: "ip6 daddr",
}

// ctName names a conntrack field; those of tuples have a direction.
func ctName(e *expr.Ct) string {
	name, ok := ctNames[e.Key]
	switch {
	case !ok:
		return fmt.Sprintf("ct <%d>", e.Key)
	case strings.Contains(name, "addr") || strings.HasPrefix(name, "proto-"):
		return "ct " + map[uint32]string{0: "original", 1: "reply"}[e.Direction] + " " + name
	}
	return "ct " + name
}

type field struct {
	base   expr.PayloadBase
	offset uint32
	length uint32
}

const (
	link      = expr.PayloadBaseLLHeader
	network   = expr.PayloadBaseNetworkHeader
	transport = expr.PayloadBaseTransportHeader
)

// fields are those of headers that rules use. Ports have the protocol's name before
// them; where the protocol is not known they are those of any transport header.
var fields = map[field]string{
	{network, 12, 4}: "ip saddr", {network, 16, 4}: "ip daddr",
	{network, 8, 16}: "ip6 saddr", {network, 24, 16}: "ip6 daddr",
	{network, 8, 1}: "ip ttl", {network, 9, 1}: "ip protocol", {network, 2, 2}: "ip length", {network, 6, 2}: "ip frag-off",
	{network, 6, 1}: "ip6 nexthdr", {network, 7, 1}: "ip6 hoplimit",
	{transport, 0, 2}: "sport", {transport, 2, 2}: "dport", {transport, 0, 1}: "type", {transport, 1, 1}: "code", {transport, 13, 1}: "flags",
	{link, 0, 6}: "ether daddr", {link, 6, 6}: "ether saddr", {link, 12, 2}: "ether type",
}

// arpFields are those of ARP over Ethernet.
var arpFields = map[field]string{
	{network, 6, 2}: "arp operation", {network, 14, 4}: "arp saddr ip", {network, 24, 4}: "arp daddr ip",
	{network, 8, 6}: "arp saddr ether", {network, 18, 6}: "arp daddr ether",
}

// payloadName names a field by its place in a header. Of an address only the first
// bytes are loaded where its prefix ends at a byte's end; suffix is that prefix.
func (r *renderer) payloadName(p *expr.Payload) (name, suffix string) {
	at := field{p.Base, p.Offset, p.Len}
	if name, ok := arpFields[at]; ok && r.in.Family == ARP {
		return name, ""
	}
	if name, ok := fields[at]; ok {
		if p.Base == transport {
			protocol := r.protocol
			if protocol == "" {
				protocol = "th"
			}
			return protocol + " " + name, ""
		}
		return name, ""
	}
	for f, name := range fields {
		if f.base == network && f.offset == p.Offset && p.Len < f.length && f.length > 2 && strings.HasSuffix(name, "addr") && addressFits(name, r.in.Family) {
			return name, fmt.Sprintf("/%d", p.Len*8)
		}
	}
	return fmt.Sprintf("@%s,%d,%d", map[expr.PayloadBase]string{link: "ll", network: "nh", transport: "th"}[p.Base], p.Offset*8, p.Len*8), ""
}

func addressFits(name string, f Family) bool {
	six := strings.HasPrefix(name, "ip6")
	return (f != IP || !six) && (f != IP6 || six)
}

func fibName(e *expr.Fib) string {
	var of []string
	for _, f := range []struct {
		set  bool
		name string
	}{{e.FlagSADDR, "saddr"}, {e.FlagDADDR, "daddr"}, {e.FlagMARK, "mark"}, {e.FlagIIF, "iif"}, {e.FlagOIF, "oif"}} {
		if f.set {
			of = append(of, f.name)
		}
	}
	result := "oif"
	switch {
	case e.ResultADDRTYPE:
		result = "type"
	case e.ResultOIFNAME:
		result = "oifname"
	}
	return "fib " + strings.Join(of, " . ") + " " + result
}
