#!/usr/bin/env bash
# Runs the release binaries for arm and arm64 under qemu's user emulation: on
# the oldest ARM that is promised, an ARMv6 as in the first Raspberry Pi, and on
# a 64-bit one. Each says its version and reports this host, and the reports are
# checked. Needs Debian's qemu-user-static.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/defenderctl" ./component/defenderctl

check() { # GOARCH emulator...
  local arch=$1 binary=$work/device-defender-$1
  shift
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOARM=6 go build -trimpath -ldflags='-s -w' -o "$binary" ./component/device-defender
  "$@" "$binary" version | grep "linux/$arch,"
  for encoding in json cbor; do
    "$@" "$binary" print -format $encoding >"$work/report" 2>"$work/problems"
    [ ! -s "$work/problems" ] || { cat "$work/problems" >&2; exit 1; }
    "$work/defenderctl" report check "$work/report"
  done
}

check arm qemu-arm-static -cpu arm1176
check arm64 qemu-aarch64-static
