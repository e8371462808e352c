#!/usr/bin/env bash
# Print the memory and CPU time of the running component: the release binary
# in a stand-in core, reporting every second for a while (default 30 s).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30}
work=$(mktemp -d)
trap 'kill %1 2>/dev/null || true; wait; rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/device-defender" ./component/device-defender
go build -o "$work/defenderctl" ./component/defenderctl
"$work/defenderctl" local --component "$work/device-defender" --interval 1s >"$work/log" &
sleep "$seconds"
pid=$(pgrep -f "^$work/device-defender")
grep -E 'VmRSS|VmHWM|Threads' "/proc/$pid/status"
awk '{ sum += $1 } END { printf "cpu:\t%.1f ms for each report\n", sum / 1e6 / n }' n="$(grep -c ACCEPTED "$work/log")" /proc/"$pid"/task/*/schedstat
