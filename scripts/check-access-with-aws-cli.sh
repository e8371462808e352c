#!/usr/bin/env bash
# The AWS CLI against a defenderctl serve that other machines reach: over TLS with
# AWS_CA_BUNDLE, signed with access keys of each role; what is refused, and how;
# a certificate that changes while the service runs.
#
# Needs Debian's awscli (or any AWS CLI), curl, jq and openssl.
# AWS is an environment variable: the aws to use, default /usr/bin/aws.
# Usage: scripts/check-access-with-aws-cli.sh
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
others=()
end() {
  [ ${#others[@]} -eq 0 ] || kill "${others[@]}" || true
  wait
  rm -rf "$folder"
}
trap end EXIT

fail() {
  echo "check-access-with-aws-cli: $*" >&2
  tail -30 "$folder/serve.log" >&2 || true
  exit 1
}

# until_true SECONDS WHAT COMMAND...
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "still waiting for $what"
    sleep 0.5
  done
}

step() { printf '\n-- %s\n' "$*"; }

# same WHAT GOT WANT
same() { [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"; }

# refused ERROR COMMAND...: the command fails with this error type.
refused() {
  local want=$1 output
  shift
  if output=$("$@" 2>&1); then fail "$* succeeded, want $want"; fi
  case $output in
  *"($want)"*) echo "$want: ${output##*operation: }" ;;
  *) fail "$*: want $want, got: $output" ;;
  esac
}

# certificate NAME: a new one and its key, in place of the ones before.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
    -addext "subjectAltName=DNS:$1,DNS:localhost,IP:127.0.0.1" -keyout "$folder/new.key" -out "$folder/new.crt" 2>/dev/null
  mv "$folder/new.key" "$folder/tls.key"
  mv "$folder/new.crt" "$folder/tls.crt"
}

CGO_ENABLED=0 go build -o "$folder/defenderctl" ./component/defenderctl
certificate first
"$folder/defenderctl" serve --listen 0.0.0.0:0 --data "$folder/data" \
  --tls-certificate "$folder/tls.crt" --tls-key "$folder/tls.key" >"$folder/serve.log" &
others+=($!)
port() { grep -o 'listening on https://0.0.0.0:[0-9]*' "$folder/serve.log" | grep -o '[0-9]*$'; }
listening() { port >/dev/null; }
until_true 60 "the service's address" listening
endpoint=https://localhost:$(port)

export AWS_DEFAULT_REGION=us-east-1 AWS_PAGER='' AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$folder/none" \
  AWS_CA_BUNDLE="$folder/tls.crt" AWS_SHARED_CREDENTIALS_FILE="$folder/data/admin-credentials" AWS_ENDPOINT_URL_IOT="$endpoint"
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
# Debian's CLI is older than AWS_ENDPOINT_URL_IOT, so each call says it.
aws() { "${AWS:-/usr/bin/aws}" --endpoint-url "$endpoint" --output json "$@"; }
"${AWS:-/usr/bin/aws}" --version

step "the first access key"
same "its mode" "$(stat -c %a "$folder/data/admin-credentials")" 600
if grep -qF "$(sed -n 's/^aws_secret_access_key = //p' "$folder/data/admin-credentials")" "$folder/serve.log"; then fail "the secret is in the log"; fi
grep -F "$folder/data/admin-credentials" "$folder/serve.log" || fail "the log does not say where it is"
same "who calls" "$(aws sts get-caller-identity | jq -r .Arn)" arn:aws:iam::123456789012:user/admin

step "every way of signing: a body, a query, an escaped path, pages"
aws iot create-thing-group --thing-group-name "site:a_b-c" >/dev/null
aws iot create-thing --thing-name "core:1" --attribute-payload 'attributes={site=x/y#1@z}' >/dev/null
aws iot create-thing --thing-name "core:2" >/dev/null
same "a path" "$(aws iot describe-thing --thing-name core:1 | jq -r '.attributes.site')" 'x/y#1@z'
same "a query" "$(aws iot list-things --attribute-name site --attribute-value 'x/y#1@z' | jq -r '.things[].thingName')" core:1
same "pages" "$(aws iot list-things --page-size 1 | jq -r '[.things[].thingName] | join(",")')" core:1,core:2
aws iot tag-resource --resource-arn arn:aws:iot:us-east-1:123456789012:thinggroup/site:a_b-c --tags 'Key=a b,Value=ü + &' >/dev/null
same "an ARN in a query" "$(aws iot list-tags-for-resource --resource-arn arn:aws:iot:us-east-1:123456789012:thinggroup/site:a_b-c | jq -r '.tags[0].Value')" 'ü + &'

step "roles"
for role in viewer operator ingest; do
  (umask 077 && "$folder/defenderctl" access create "a-$role" --role $role >"$folder/$role-credentials" 2>/dev/null)
done
"$folder/defenderctl" access list
as() { # ROLE COMMAND...
  local AWS_SHARED_CREDENTIALS_FILE="$folder/$1-credentials"
  export AWS_SHARED_CREDENTIALS_FILE
  shift
  "$@"
}
as viewer aws iot list-things >/dev/null
as operator aws iot create-thing --thing-name core:3 >/dev/null
refused AccessDeniedException as viewer aws iot create-thing --thing-name core:4
refused AccessDeniedException as operator aws iot create-mitigation-action --action-name a --role-arn arn:aws:iam::123456789012:role/a \
  --action-params '{"addThingsToThingGroupParams":{"thingGroupNames":["g"]}}'
refused AccessDeniedException as ingest aws iot list-things
as ingest aws sts get-caller-identity | jq -r .Arn

step "who is nobody"
refused UnrecognizedClientException env AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=x "${AWS:-/usr/bin/aws}" --endpoint-url "$endpoint" iot list-things
key=$(sed -n 's/^aws_access_key_id = //p' "$folder/viewer-credentials")
refused InvalidSignatureException env AWS_ACCESS_KEY_ID="$key" AWS_SECRET_ACCESS_KEY=x "${AWS:-/usr/bin/aws}" --endpoint-url "$endpoint" iot list-things
refused InvalidSignatureException aws --region eu-central-1 iot list-things
curl() { command curl -s --cacert "$folder/tls.crt" "$@"; }
same "an unsigned call" "$(curl -o /dev/null -w '%{http_code} %header{x-amzn-errortype}' "$endpoint/things")" "403 MissingAuthenticationTokenException"
same "an unsigned report" "$(curl -o /dev/null -w '%{http_code}' -d '{}' "$endpoint/things/a/defender/metrics/json")" 403
same "a page without a login" "$(curl -o /dev/null -w '%{http_code} %{redirect_url}' "$endpoint/")" "303 $endpoint/login"
same "health" "$(curl "$endpoint/healthz") $(curl "$endpoint/readyz")" "ok ok"

step "a report, signed by curl"
now=$(date +%s) # curl 7 does not escape a colon in what it signs, so the name has none
same "a report" "$(sed -n 's/^aws_access_key_id = //p;s/^aws_secret_access_key = //p' "$folder/ingest-credentials" | {
  read -r id
  read -r secret
  printf 'user = "%s:%s"\n' "$id" "$secret"
} | curl -K - --aws-sigv4 aws:amz:us-east-1:iotdata -H 'Content-Type: application/json' -o /dev/null -w '%{http_code}' \
  -d '{"header":{"report_id":'"$now"',"version":"1.0"},"metrics":{"network_stats":{"packets_out":7}}}' "$endpoint/things/core-1/defender/metrics/json")" 200

step "a certificate that changes"
cp "$folder/tls.crt" "$folder/first.crt"
echo broken >"$folder/tls.key"
same "with a broken key" "$(command curl -s --cacert "$folder/first.crt" "$endpoint/healthz")" ok
grep -q "the old one is kept" "$folder/serve.log" || fail "the log does not tell of the broken key"
certificate second
aws iot list-things >/dev/null
if command curl -s --cacert "$folder/first.crt" "$endpoint/healthz"; then fail "the first certificate is still in use"; fi

step "rotate and delete"
"$folder/defenderctl" access rotate a-viewer >"$folder/renewed-credentials" 2>/dev/null
refused UnrecognizedClientException as viewer aws iot list-things
as renewed aws iot list-things >/dev/null
"$folder/defenderctl" access delete a-viewer
refused UnrecognizedClientException as renewed aws iot list-things

step "beyond loopback without authentication"
if "$folder/defenderctl" serve --listen 0.0.0.0:0 --auth off --data "$folder/other" 2>"$folder/off.log"; then fail "--auth off was taken"; fi
cat "$folder/off.log"

printf '\ncheck-access-with-aws-cli: all is as it should be\n'
