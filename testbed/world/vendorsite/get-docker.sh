#!/bin/sh
# Installs Docker from the vendor's repository: what get.docker.com is to the real one. Like
# that it reads DOWNLOAD_URL and VERSION.
set -eu
: "${DOWNLOAD_URL:=http://download.lab.test}"
# In a shell of its own: there is a VERSION in it too.
id=$(. /etc/os-release && echo "$ID")
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "# Executing docker install script for $id $codename"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y install ca-certificates curl
install -m 0755 -d /etc/apt/keyrings
curl -fsSL "$DOWNLOAD_URL/linux/$id/gpg" -o /etc/apt/keyrings/docker.asc
echo "deb [signed-by=/etc/apt/keyrings/docker.asc] $DOWNLOAD_URL/linux/$id $codename stable" >/etc/apt/sources.list.d/docker.list
apt-get -qq update
pin=
if [ -n "${VERSION:-}" ]; then
	pin="=5:$VERSION-*"
fi
apt-get -qq -y install "docker-ce$pin" "docker-ce-cli$pin" containerd.io
