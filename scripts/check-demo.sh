#!/usr/bin/env bash
# Runs the demo from the real binary and looks at what it shows: the violation,
# the address that is new, the alert, and the end of the alarm.
# Usage: scripts/check-demo.sh
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
CGO_ENABLED=0 go build -o "$folder/defenderctl" ./component/defenderctl
before=$SECONDS
if ! TMPDIR=$folder "$folder/defenderctl" demo --no-wait --listen 127.0.0.1:0 >"$folder/shown"; then
  cat "$folder/shown"
  exit 1
fi
cat "$folder/shown"
echo "took $((SECONDS - before)) s"
for want in 'PacketExfiltration' '203.0.113.66' 'in-alarm' 'alarm-cleared' 'QuarantineDevice'; do
  grep -qi -- "$want" "$folder/shown" || { echo "check-demo: '$want' is not shown"; exit 1; }
done
left=$(find "$folder" -mindepth 1 ! -name defenderctl ! -name shown)
[ -z "$left" ] || { echo "check-demo: left behind: $left"; exit 1; }
