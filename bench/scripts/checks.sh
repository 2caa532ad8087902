#!/bin/bash
# The network suite's checks with the usual tools, as one would write them by hand.
#
#   checks.sh ORDER CONNECT MOST PING...
#
# ORDER is one-by-one or side-by-side; CONNECT and MOST are curl's limits in
# seconds; PING are ping's own options. Prints "PROBE TARGET ok" or "failed".
set -u
order=$1 connect=$2 most=$3
shift 3
ping_options=("$@")

check() {
	local probe=$1 target=$2
	shift 2
	if "$@" >/dev/null 2>&1; then echo "$probe $target ok"; else echo "$probe $target failed"; fi
}

run() {
	if [ "$order" = side-by-side ]; then check "$@" & else check "$@"; fi
}

ask() { dig +short +tries=1 +time="$connect" "$1" "$2" | grep -q .; }

web() { curl -fsS --cacert "$NESTLAB_WORLD_CA" --connect-timeout "$connect" --max-time "$most" "$@"; }

large() {
	web -I "$1" && web -o /dev/null "$1" && head -c 65536 /dev/zero | web --data-binary @- "$2"
}

for name in archive.lab.test download.lab.test registry.lab.test; do run dns-a "$name" ask A "$name"; done
for name in archive.lab.test download.lab.test registry.lab.test; do run dns-aaaa "$name" ask AAAA "$name"; done
run tcp-connect archive.lab.test:80 nc -z -w "$connect" archive.lab.test 80
run tcp-connect download.lab.test:443 nc -z -w "$connect" download.lab.test 443
run tcp-connect registry.lab.test:443 nc -z -w "$connect" registry.lab.test 443
run first-address archive.lab.test:80 nc -z -w "$connect" archive.lab.test 80
run http http://archive.lab.test/ web -I http://archive.lab.test/
run http http://download.lab.test/ web -I http://download.lab.test/
run https https://download.lab.test/linux/debian/gpg web -I https://download.lab.test/linux/debian/gpg
run https https://registry.lab.test/v2/ web -I https://registry.lab.test/v2/
run icmp-echo archive.lab.test ping "${ping_options[@]}" archive.lab.test
run path-mtu http://archive.lab.test/blob/65536 large http://archive.lab.test/blob/65536 http://archive.lab.test/sink
wait
