#!/usr/bin/env bash
# Checks artifacts/monitoring with Prometheus' own promtool: the alert rules, their
# tests, each expression of the dashboard, and what a service answers at /metrics,
# open and with a token. Needs promtool, curl, jq.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
serve=
cleanup() {
  [ -z "$serve" ] || { kill "$serve"; wait "$serve" || true; }
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

promtool check rules artifacts/monitoring/alerts.yaml
promtool test rules artifacts/monitoring/alerts.test.yaml

# Grafana puts values in place of its variables.
jq '{groups: [{name: "dashboard", rules: [.panels[].targets // [] | .[] | {record: "x", expr: (.expr | gsub("\\$instance"; ".*"))}
  ] | to_entries | map(.value + {record: "x:\(.key)"})}]}' artifacts/monitoring/dashboard.json >"$work/dashboard.json"
promtool check rules "$work/dashboard.json"

go build -o "$work/defenderctl" ./component/defenderctl
start() {
  : >"$work/log"
  "$work/defenderctl" serve --listen 127.0.0.1:0 --data "$work/data" "$@" >"$work/log" 2>&1 &
  serve=$!
  for _ in $(seq 600); do
    url=$(sed -n 's/.*listening on \(http[^,]*\),.*/\1/p' "$work/log")
    [ -z "$url" ] || return 0
    kill -0 "$serve" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/log"
  fail "no service"
}
stop() { kill "$serve"; wait "$serve" || fail "serve: exit code $?"; serve=; }

start
curl -fsS "$url/metrics" | promtool check metrics
stop

token=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
(umask 077; echo "$token" >"$work/token")
start --auth on --metrics-token-file "$work/token"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/metrics")" = 403 ] || fail "/metrics without a token"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${token}x" "$url/metrics")" = 403 ] || fail "/metrics with a wrong token"
[ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$url/things")" = 403 ] || fail "things with the token"
curl -fsS -H "Authorization: Bearer $token" "$url/metrics" >"$work/metrics"
grep -q '^device_defender_store_up 1$' "$work/metrics" || fail "no figures"
if grep -q "$token" "$work/log" "$work/metrics"; then fail "the token is shown"; fi
key=$(sed -n 's/^aws_access_key_id = //p' "$work/data/admin-credentials")
secret=$(sed -n 's/^aws_secret_access_key = //p' "$work/data/admin-credentials")
curl -fsS --aws-sigv4 aws:amz:us-east-1:iot --user "$key:$secret" "$url/metrics" >"$work/signed"
grep -q '^device_defender_store_up 1$' "$work/signed" || fail "/metrics, signed"
stop
echo "monitoring: ok"
