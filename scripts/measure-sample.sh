#!/usr/bin/env bash
# Print what one report costs with that many socket rows (default 0 5000 20000
# 40000): wall time, CPU time, peak memory of the one-shot process. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 0 5000 20000 40000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/device-defender" ./component/device-defender
go build -o "$work/measure-sample" ./scripts/measure-sample
"$work/measure-sample" "$work/device-defender" "$@"
