package catalogue_test

// commandsCase is a remedy with parameters, and the commands there and back.
type commandsCase struct {
	name       string
	parameters map[string]string
	commands   []string
	undo       []string
}

var commandsCases = []commandsCase{
	{
		"docker-user-accept", map[string]string{"bridge": "lxdbr0"},
		[]string{"iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT", "iptables -I DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
		[]string{"iptables -D DOCKER-USER -i lxdbr0 -j ACCEPT", "iptables -D DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
	},
	{
		"docker-user-accept", map[string]string{"bridge": "a'; rm x", "family": "v6"},
		[]string{`ip6tables -I DOCKER-USER -i 'a'\''; rm x' -j ACCEPT`, `ip6tables -I DOCKER-USER -o 'a'\''; rm x' -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`},
		[]string{`ip6tables -D DOCKER-USER -i 'a'\''; rm x' -j ACCEPT`, `ip6tables -D DOCKER-USER -o 'a'\''; rm x' -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`},
	},
	{"ip-forward-on", nil, []string{"sysctl -w net.ipv4.ip_forward=1"}, []string{"sysctl -w net.ipv4.ip_forward=0"}},
	{"forward-accept", map[string]string{"family": "v6"}, []string{"ip6tables -P FORWARD ACCEPT"}, []string{"ip6tables -P FORWARD DROP"}},
	{
		"docker-mtu", map[string]string{"mtu": "1400"},
		[]string{`mkdir -p "$(dirname /etc/docker/daemon.json)"`, `grep -qs '[^[:space:]]' /etc/docker/daemon.json || echo '{}' > /etc/docker/daemon.json`,
			"jq --argjson v 1400 '.mtu = $v' /etc/docker/daemon.json > /etc/docker/daemon.json.new && cat /etc/docker/daemon.json.new > /etc/docker/daemon.json && rm /etc/docker/daemon.json.new", "systemctl restart docker"},
		[]string{"# if the key was set before, give it its former value instead of deleting it",
			"jq 'del(.mtu)' /etc/docker/daemon.json > /etc/docker/daemon.json.new && cat /etc/docker/daemon.json.new > /etc/docker/daemon.json && rm /etc/docker/daemon.json.new",
			`test "$(jq -c . /etc/docker/daemon.json)" != '{}' || rm /etc/docker/daemon.json`, "systemctl restart docker"},
	},
	{
		"docker-data-root", map[string]string{"path": "/media/x/$(id)/it's", "file": "/d j"},
		[]string{`mkdir -p "$(dirname '/d j')"`, `grep -qs '[^[:space:]]' '/d j' || echo '{}' > '/d j'`,
			`jq --arg v '/media/x/$(id)/it'\''s' '."data-root" = $v' '/d j' > '/d j'.new && cat '/d j'.new > '/d j' && rm '/d j'.new`, "systemctl restart docker"},
		[]string{"# if the key was set before, give it its former value instead of deleting it",
			`jq 'del(."data-root")' '/d j' > '/d j'.new && cat '/d j'.new > '/d j' && rm '/d j'.new`,
			`test "$(jq -c . '/d j')" != '{}' || rm '/d j'`, "systemctl restart docker"},
	},
	{
		"registry-mirror", map[string]string{"url": "https://m.example/$(id)", "file": "/d"},
		[]string{`mkdir -p "$(dirname /d)"`, `grep -qs '[^[:space:]]' /d || echo '{}' > /d`,
			`jq --arg v 'https://m.example/$(id)' '."registry-mirrors" = [$v] + ((."registry-mirrors" // []) - [$v])' /d > /d.new && cat /d.new > /d && rm /d.new`, "systemctl reload docker"},
		[]string{"# if it was in the list before, leave it there", `jq --arg v 'https://m.example/$(id)' '."registry-mirrors" -= [$v] | if ."registry-mirrors" == [] then del(."registry-mirrors") else . end' /d > /d.new && cat /d.new > /d && rm /d.new`,
			`test "$(jq -c . /d)" != '{}' || rm /d`, "systemctl reload docker"},
	},
	{
		"firewall-forward-accept", map[string]string{"bridge": "br0", "table": "inet fw", "chain": "forward", "handle": "7"},
		[]string{"nft delete rule inet fw forward handle 7"},
		[]string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"},
	},
	{
		"firewall-forward-accept", map[string]string{"bridge": "br0\nreboot", "table": "inet $(id)", "chain": "forward", "handle": "7"},
		[]string{"nft -a list ruleset  # find the rule that drops what comes from BRIDGE, with its handle", "nft delete rule FAMILY TABLE CHAIN handle HANDLE"},
		[]string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"},
	},
	{
		"dhcp-accept", map[string]string{"bridge": "a; flush ruleset"},
		[]string{"nft -a list ruleset  # find each chain on the input hook that drops", "nft insert rule FAMILY TABLE CHAIN iifname BRIDGE udp dport 67 accept"},
		[]string{"nft delete rule FAMILY TABLE CHAIN handle HANDLE"},
	},
}
