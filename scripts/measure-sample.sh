#!/usr/bin/env bash
# Print what one report costs with that many socket rows (default 0 5000 20000
# 40000 established, 262144 in TIME_WAIT): wall time, CPU time, peak memory of
# the one-shot process. Needs root.
#
#   measure-sample.sh [-against REF] [ROWS ...]
#
# With -against the binary of another git ref is measured in turn with this one.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build FOLDER NAME: the binary of a checkout
build() {
  (cd "$1" && CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/$2" ./component/device-defender)
}

against=()
if [ "${1:-}" = -against ]; then
  mkdir "$work/source"
  git archive "$2" | tar -x -C "$work/source"
  build "$work/source" before
  against=(-against "$work/before")
  shift 2
fi
[ $# -gt 0 ] || set -- 0 5000 20000 40000 time-wait:262144
build . now
go build -o "$work/measure-sample" ./scripts/measure-sample
"$work/measure-sample" "${against[@]}" "$work/now" "$@"
