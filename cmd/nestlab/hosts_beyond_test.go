package main

// hostsBeyond are hosts that are well, and what is behind their uplink is not.
func hostsBeyond() []row {
	site := func(rule string) []string {
		return []string{"site:nft add table inet beyond", "site:nft add chain inet beyond in { type filter hook input priority -1 ; }", "site:nft add rule inet beyond in " + rule}
	}
	all := []string{onRunner, onBridge, onDocker, onLibvirt}
	guests := []string{onBridge, onDocker, onLibvirt}
	back := []string{"site:nft delete table inet beyond"}
	return []row{
		{name: "beyond-reset", commands: site("meta l4proto tcp tcp dport 80 reject with tcp reset"), back: back, places: all,
			truth: "a firewall outside, not the host's, resets connections to port 80 of anybody", names: []string{":80", "(?i)reset|refuse", "(?i)outside|beyond|behind|upstream"}},
		{name: "beyond-prohibited", commands: site("meta l4proto tcp tcp dport 80 reject with icmpx admin-prohibited"), back: back, places: all,
			truth: "a firewall outside refuses connections to port 80 of anybody (ICMP: administratively prohibited)", names: []string{":80", "(?i)prohibited"}},
		{name: "beyond-silent", commands: site("meta l4proto tcp tcp dport 80 drop"), back: back, places: all,
			truth: "a firewall outside drops connections to port 80 of anybody", names: []string{":80", "(?i)outside|beyond|behind|upstream"}},
		{name: "beyond-guests-reset", commands: site("ip ttl 63 tcp dport 80 reject with tcp reset"), back: back, places: guests,
			truth: "a firewall outside resets connections to port 80 of what the host forwards (TTL 63)", names: []string{"(?i)resets", "(?i)outside|beyond|behind|upstream"}},
		{name: "beyond-guests-prohibited", commands: site("ip ttl 63 meta l4proto tcp reject with icmpx admin-prohibited"), back: back, places: guests,
			truth: "a firewall outside refuses connections of what the host forwards (ICMP: administratively prohibited)", names: []string{"(?i)prohibited"}},
		{name: "beyond-guests-silent", commands: site("ip ttl 63 tcp dport 80 drop"), back: back, places: guests,
			truth: "a firewall outside drops connections of what the host forwards (TTL 63)", names: []string{"(?i)outside|beyond|behind|upstream"}},
	}
}
