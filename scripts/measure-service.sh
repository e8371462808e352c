#!/usr/bin/env bash
# Measure the Detect-compatible service: reports per second, CPU time and bytes
# written per report, space, the overview page, a fleet while a day is dropped,
# the time to open. Prints two Markdown tables.
#
#   measure-service.sh [-against REF] [-full] [FLAG ...]
#
# With -against another git ref takes turns with this checkout. FLAG is one of
# measure-service, such as -rounds 3 or -dir DIR. -parts ingest makes only the
# first table, and only that part of it; -in-process makes only the second, and
# -in-process -parts day only that part. Sizes are small without -full: two refs
# take about three minutes on an idle machine. With it a million things report
# for an hour, and all of it takes hours.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
cleanup() {
  if [ -e "$work/source" ]; then
    git worktree remove --force "$work/source"
  fi
  rm -rf "$work"
}
trap cleanup EXIT

# build FOLDER NAME: the binaries of a checkout. An old one is measured by this
# command, built with its packages.
build() {
  (
    cd "$1"
    CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/$2" ./component/defenderctl
    go build -o "$work/measure-$2" ./scripts/measure-service
  )
}

against='' binary=() process=(-things 5000)
while [ $# -gt 0 ]; do
  case $1 in
  -against) against=$2 && shift 2 ;;
  -full)
    binary=(-seconds 30s -slow 60s -rounds 3 -day-things 1000 -violations 40000)
    process=(-things 1000000 -rate 3333 -minutes 60 -day-things 1000)
    shift
    ;;
  *) break ;;
  esac
done

build . now
binaries=(-binary "now=$work/now")
programs=(-program "now=$work/measure-now")
if [ "$against" ]; then
  git worktree add --quiet --detach "$work/source" "$against"
  rm -rf "$work/source/scripts/measure-service"
  cp -r scripts/measure-service "$work/source/scripts/"
  build "$work/source" before
  binaries+=(-binary "before=$work/before")
  programs+=(-program "before=$work/measure-before")
fi

measure=$work/measure-now
case " $* " in
*' -in-process '*) "$measure" "${programs[@]}" "${process[@]}" "$@" ;;
*' -parts '*) "$measure" "${binaries[@]}" "${binary[@]}" "$@" ;;
*)
  "$measure" "${binaries[@]}" "${binary[@]}" "$@"
  echo
  "$measure" "${programs[@]}" "${process[@]}" -in-process "$@"
  ;;
esac
