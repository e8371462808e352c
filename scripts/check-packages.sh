#!/usr/bin/env bash
# Builds a snapshot of the releases of defenderctl and installs them: the deb in a
# clean Debian, where the unit's command line runs as its user, and the container
# image's file system. Looks at the rpm. Needs root, goreleaser, debootstrap,
# systemd-analyze, rpm, curl, jq.
#
# With --fewer it builds for four of the seven targets, of all systems.
set -euo pipefail
cd "$(dirname "$0")/.."
out=dist/defenderctl
work=$(mktemp -d)
# Nothing of the environment here reaches what is installed.
clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root)
running=
cleanup() {
  [ -z "$running" ] || kill "$running" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

unit=artifacts/systemd/defenderctl.service
# The program need not be here for the unit to be right.
sed "s#/usr/bin/defenderctl#$(command -v true)#" $unit >"$work/defenderctl.service"
systemd-analyze verify --man=no "$work/defenderctl.service"
# Exposure: 0 is none, 10.0 is all. Above 2.0 something was forgotten.
systemd-analyze security --offline=yes --threshold=20 "$work/defenderctl.service" >"$work/security" || { cat "$work/security"; fail "the unit is exposed"; }
tail -n 1 "$work/security"

config=.goreleaser.yaml
targets=(linux-{amd64,arm64,armv7} darwin-{amd64,arm64} windows-{amd64,arm64})
if [ "${1:-}" = --fewer ]; then
  config=$work/goreleaser.yaml
  targets=(linux-{amd64,armv7} darwin-arm64 windows-amd64)
  sed '/- linux_arm64/d; /- darwin_amd64/d; /- windows_arm64/d' .goreleaser.yaml >"$config"
fi
goreleaser release --config "$config" --snapshot --clean --skip=publish
cp dist/beside/*/defenderctl-image-*.tar.gz $out
(cd $out && sha256sum --check --quiet SHA256SUMS)
for target in "${targets[@]}"; do
  files=(defenderctl-"$target".{tar.gz,deb,rpm} defenderctl-image-"$target".tar.gz)
  case $target in
  darwin-*) files=(defenderctl-"$target".tar.gz) ;;
  windows-*) files=(defenderctl-"$target".zip) ;;
  esac
  for file in "${files[@]}"; do
    grep -q " $file\$" $out/SHA256SUMS || fail "$file is not in SHA256SUMS"
  done
done
tar -tzf $out/defenderctl-linux-amd64.tar.gz >"$work/files"
for file in defenderctl LICENSE THIRD_PARTY_NOTICES sbom.cdx.json man1/defenderctl-serve.1.gz completions/defenderctl.bash; do
  grep -qx "$file" "$work/files" || fail "no $file in the archive"
done

# serves FILE COMMAND...: the command answers as a service until it is told to end.
serves() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 &
  running=$!
  for _ in $(seq 300); do
    curl -fsS http://127.0.0.1:8787/readyz >/dev/null 2>&1 && return 0
    kill -0 $running 2>/dev/null || break
    sleep 0.1
  done
  cat "$log"
  fail "no service"
}
ends() {
  kill "$running"
  wait "$running" || fail "exit code $?"
  running=
}

echo "== the deb in a clean Debian"
root=$work/debian
debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap" || { tail "$work/debootstrap"; fail "debootstrap"; }
cp $out/defenderctl-linux-amd64.deb "$root/tmp/"
"${clean[@]}" chroot "$root" dpkg -i /tmp/defenderctl-linux-amd64.deb
"${clean[@]}" chroot "$root" defenderctl --version
[ "$(stat -c %a "$root/etc/defenderctl/serve.env")" = 600 ] || fail "mode of serve.env"
for file in usr/share/man/man1/defenderctl-serve.1.gz usr/share/bash-completion/completions/defenderctl usr/lib/systemd/system/defenderctl.service; do
  [ -s "$root/$file" ] || fail "no /$file"
done
# What systemd makes of the unit: the folder, the user, the command line.
user=$(sed -n 's/^User=//p' $unit)
# shellcheck disable=SC2016 # systemd's variable, not the shell's
mapfile -t command < <(sed -n 's/^ExecStart=//p' $unit | sed 's#%S#/var/lib#; s# \$SERVE_FLAGS##' | tr ' ' '\n')
chroot "$root" install -d -m 700 -o "$user" -g "$user" /var/lib/defenderctl
serves "$work/log" "${clean[@]}" chroot --userspec="$user:$user" "$root" "${command[@]}"
"${clean[@]}" chroot "$root" defenderctl health
"${clean[@]}" chroot "$root" defenderctl backup --local /root/defender.backup
curl -fsS http://127.0.0.1:8787/metrics | grep device_defender_build_info >"$work/info"
ends
grep -q "$(jq -r .version $out/metadata.json)" "$work/info" || fail "version: $(cat "$work/info")"
"${clean[@]}" chroot "$root" defenderctl restore /root/defender.backup --data /root/restored
! "${clean[@]}" chroot "$root" defenderctl health 2>/dev/null || fail "healthy without a service"
"${clean[@]}" chroot "$root" dpkg -r defenderctl
[ ! -e "$root/usr/bin/defenderctl" ] || fail "the program is still there"
[ -d "$root/var/lib/defenderctl/store" ] || fail "what the service kept is gone"

echo "== the rpm"
rpm -K --nosignature $out/defenderctl-linux-amd64.rpm
rpm -qpl $out/defenderctl-linux-amd64.rpm >"$work/files"
for file in /usr/bin/defenderctl /usr/lib/systemd/system/defenderctl.service /etc/defenderctl/serve.env /usr/share/man/man1/defenderctl.1.gz; do
  grep -qx "$file" "$work/files" || fail "no $file in the rpm"
done
rpm -qp --scripts $out/defenderctl-linux-amd64.rpm | grep -q useradd || fail "the rpm makes no user"

echo "== the container image"
mkdir "$work/image" "$work/scratch"
tar -xzf $out/defenderctl-image-linux-amd64.tar.gz -C "$work/image"
blob() { echo "$work/image/blobs/${1/:/\/}"; }
manifest=$(blob "$(jq -r '.manifests[0].digest' "$work/image/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
tar -xf "$(blob "$(jq -r '.layers[0].digest' "$manifest")")" -C "$work/scratch"
mapfile -t command < <(jq -r '.config | .Entrypoint[], .Cmd[]' "$config")
mapfile -t health < <(jq -r '.config.Healthcheck.Test[1:][]' "$config")
serves "$work/log" "${clean[@]}" chroot --userspec="$(jq -r .config.User "$config")" "$work/scratch" "${command[@]}"
"${clean[@]}" chroot "$work/scratch" "${health[@]}"
ends
echo "packages: ok"
