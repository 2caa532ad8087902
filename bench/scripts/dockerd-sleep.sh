#!/bin/bash
# Starts dockerd and sleeps for a fixed time, as the predecessor's workflows did.
#
#   dockerd-sleep.sh CONFIG LOG PIDFILE
set -eu
dockerd --config-file "$1" --pidfile "$3" >"$2" 2>&1 &
sleep 15
docker version >/dev/null
