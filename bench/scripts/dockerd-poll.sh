#!/bin/bash
# Starts dockerd and asks once a second until it answers: the usual loop.
#
#   dockerd-poll.sh CONFIG LOG PIDFILE
set -eu
dockerd --config-file "$1" --pidfile "$3" >"$2" 2>&1 &
until docker version >/dev/null 2>&1; do
	sleep 1
done
