#!/bin/sh
# Installs Docker from the simulated internet's archive: what get.docker.com is to
# the real one.
set -eu
list=/etc/apt/sources.list.d/docker.list
echo "deb [trusted=yes] http://archive.lab.test/debian bookworm main" >"$list"
echo "# Executing docker install script for $(. /etc/os-release && echo "$PRETTY_NAME")"
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -o Dir::Etc::sourcelist="$list" -o Dir::Etc::sourceparts=- \
		-o APT::Update::Error-Mode=any -o Acquire::Retries=0 -o Acquire::http::Timeout=10 -o Dpkg::Use-Pty=0 "$@"
}
apt update
apt install --yes --no-install-recommends docker.io iptables ca-certificates
