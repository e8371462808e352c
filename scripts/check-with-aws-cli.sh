#!/usr/bin/env bash
# The tutorial with the AWS CLI against defenderctl local: profile, attach,
# reports of this machine's agent, a burst of traffic, the violation and the
# values around it; then each error that the API documents, once.
#
# Needs Debian's awscli (or any AWS CLI 2), jq and python3.
# AWS is an environment variable: the aws to use, default /usr/bin/aws.
# Usage: scripts/check-with-aws-cli.sh
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
  echo "check-with-aws-cli: $*" >&2
  tail -30 "$folder/core.log" >&2 || true
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

CGO_ENABLED=0 go build -o "$folder/defenderctl" ./component/defenderctl
"$folder/defenderctl" local --listen 127.0.0.1:0 --data "$folder/data" --interval 5s --fast-forward 2h >"$folder/core.log" &
others+=($!)
url() { grep -o 'http://127.0.0.1:[0-9]*' "$folder/core.log" | head -1; }
listening() { url >/dev/null; }
until_true 60 "the service's URL" listening
endpoint=$(url)

# An account that does not exist, and nothing of this user's own.
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 AWS_PAGER='' \
  AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$folder/none" AWS_SHARED_CREDENTIALS_FILE="$folder/none"
# Debian's CLI is older than AWS_ENDPOINT_URL_IOT, so each call says it.
aws() { "${AWS:-/usr/bin/aws}" --endpoint-url "$endpoint" --output json "$@"; }
"${AWS:-/usr/bin/aws}" --version

cd "$folder"
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

step "the tutorial's profile, as it was published"
cat >rule.json <<'JSON'
{
    "securityProfileName": "DataExfiltrationCheck",
    "securityProfileDescription": "Alerts on a possible data exfiltration attempt on devices",
    "behaviors": [
        {
            "name": "PacketExfiltration",
            "metric": "aws:all-packets-out",
            "criteria": {
                "comparisonOperator": "greater-than",
                "durationSeconds": 300,
                "consecutiveDatapointsToAlarm": 1,
                "consecutiveDatapointsToClear": 1,
                "statisticalThreshold": {
                    "statistic": "p99.99"
                }
            }
        }
    ],
    "additionalMetricsToRetain": [
        "aws:num-connection-attempts",
        "aws:destination-ip-addresses",
        "aws:all-packets-out",
        "aws:all-packets-in",
        "aws:source-ip-address",
        "aws:num-messages-sent"
    ]
}
JSON
aws iot create-security-profile --cli-input-json file://rule.json | tee created.json
same "the ARN" "$(jq -r .securityProfileArn created.json)" arn:aws:iot:us-east-1:123456789012:securityprofile/DataExfiltrationCheck
aws iot attach-security-profile \
  --security-profile-name "DataExfiltrationCheck" \
  --security-profile-target-arn "arn:aws:iot:us-east-1:123456789012:all/things"

step "list, describe, targets"
same "the profiles" "$(aws iot list-security-profiles | jq -r '.securityProfileIdentifiers[].name')" DataExfiltrationCheck
same "the behavior" "$(aws iot describe-security-profile --security-profile-name DataExfiltrationCheck |
  jq -c '[.version, .behaviors[0].criteria.statisticalThreshold.statistic, (.additionalMetricsToRetain | length)]')" '[1,"p99.99",6]'
same "the targets" "$(aws iot list-targets-for-security-profile --security-profile-name DataExfiltrationCheck |
  jq -r '.securityProfileTargets[].arn')" arn:aws:iot:us-east-1:123456789012:all/things
same "the profiles of the target" "$(aws iot list-security-profiles-for-target \
  --security-profile-target-arn arn:aws:iot:us-east-1:123456789012:all/things |
  jq -r '.securityProfileTargetMappings[].securityProfileIdentifier.name')" DataExfiltrationCheck

step "validate"
behavior() { # NAME COUNT CONSECUTIVE
  printf '[{"name":"%s","metric":"aws:all-packets-out","criteria":{"comparisonOperator":"less-than-equals","value":{"count":%d},"durationSeconds":300,"consecutiveDatapointsToAlarm":%d,"consecutiveDatapointsToClear":1}}]' "$1" "$2" "$3"
}
same "a good behavior" "$(aws iot validate-security-profile-behaviors --behaviors "$(behavior PacketBurst 150000 1)" | jq .valid)" true
aws iot validate-security-profile-behaviors --behaviors "$(behavior PacketBurst 150000 100000)" | tee validated.json
same "a bad behavior" "$(jq .valid validated.json)" false
grep -q 'consecutiveDatapointsToAlarm 100000 should be in range\[1,10\]' validated.json || fail "the message that AWS gives"

step "update: a count, for one machine makes no percentile"
aws iot update-security-profile --security-profile-name DataExfiltrationCheck --expected-version 1 \
  --behaviors "$(behavior PacketBurst 150000 1)" | jq -c '[.version, .behaviors[0].name]' | tee updated.json
same "the version" "$(cat updated.json)" '[2,"PacketBurst"]'

step "reports of this machine's agent"
until_true 120 "two accepted reports" bash -c "[ \$(grep -c 'ACCEPTED report' '$folder/core.log') -ge 2 ]"

step "a burst of traffic"
python3 - <<'PYTHON'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(400_000):
    s.sendto(b"x" * 100, ("127.0.0.1", 9))
PYTHON
violations() { aws iot list-active-violations --thing-name my-core | jq -e '.activeViolations | length > 0' >/dev/null; }
until_true 60 "the violation" violations
aws iot list-active-violations --thing-name my-core | tee active.json
jq -e '.activeViolations[0] | .behavior.name == "PacketBurst" and .lastViolationValue.count > 150000
  and (.violationId | test("^[a-zA-Z0-9-]{1,128}$")) and .securityProfileName == "DataExfiltrationCheck"' active.json >/dev/null || fail "the violation"
violation=$(jq -r '.activeViolations[0].violationId' active.json)

step "its events, and the values around it"
period=(--start-time "$(date -u -d '-3 hours' +%FT%TZ)" --end-time "$(date -u -d '+1 hour' +%FT%TZ)")
aws iot list-violation-events "${period[@]}" --thing-name my-core | tee events.json
jq -e --arg id "$violation" '[.violationEvents[] | select(.violationId == $id and .violationEventType == "in-alarm" and .metricValue.count > 150000)] | length == 1' events.json >/dev/null || fail "the event"
aws iot list-metric-values "${period[@]}" --thing-name my-core --metric-name aws:all-packets-out | tee values.json
jq -e '[.metricDatumList[] | select(.value.count > 150000)] | length >= 1' values.json >/dev/null || fail "the burst among the values"
aws iot list-metric-values "${period[@]}" --thing-name my-core --metric-name aws:destination-ip-addresses >addresses.json
jq -e '.metricDatumList | length > 0 and all(.[]; .value | has("cidrs"))' addresses.json >/dev/null || fail "the retained addresses"
aws iot put-verification-state-on-violation --violation-id "$violation" --verification-state TRUE_POSITIVE --verification-state-description "our own burst"
same "the verification" "$(aws iot list-violation-events "${period[@]}" --verification-state TRUE_POSITIVE | jq -r '.violationEvents[0].verificationStateDescription')" "our own burst"
cleared() { aws iot list-violation-events "${period[@]}" --thing-name my-core | jq -e '[.violationEvents[] | select(.violationEventType == "alarm-cleared")] | length > 0' >/dev/null; }
until_true 60 "the alarm to clear" cleared

step "mitigation"
aws iot create-thing-group --thing-group-name quarantine >/dev/null
aws iot create-mitigation-action --action-name quarantine --role-arn arn:aws:iam::123456789012:role/quarantine \
  --action-params '{"addThingsToThingGroupParams":{"thingGroupNames":["quarantine"]}}' >/dev/null
aws iot start-detect-mitigation-actions-task --task-id t1 --target "violationIds=$violation" --actions quarantine --no-include-only-active-violations \
  --violation-event-occurrence-range "startTime=$(date -u -d '-3 hours' +%FT%TZ),endTime=$(date -u -d '+1 hour' +%FT%TZ)" >/dev/null
done_() { [ "$(aws iot describe-detect-mitigation-actions-task --task-id t1 | jq -r .taskSummary.taskStatus)" = SUCCESSFUL ]; }
until_true 60 "the task" done_
same "the things in quarantine" "$(aws iot list-things-in-thing-group --thing-group-name quarantine | jq -r '.things[]')" my-core

step "each documented error, once"
refused InvalidRequestException aws iot create-security-profile --security-profile-name 'with space'
refused ResourceNotFoundException aws iot describe-security-profile --security-profile-name nosuch
refused ResourceAlreadyExistsException aws iot create-security-profile --security-profile-name DataExfiltrationCheck
refused VersionConflictException aws iot update-security-profile --security-profile-name DataExfiltrationCheck --expected-version 99 --security-profile-description x
refused VersionConflictException aws iot delete-security-profile --security-profile-name DataExfiltrationCheck --expected-version 99
refused TaskAlreadyExistsException aws iot start-detect-mitigation-actions-task --task-id t1 --target "violationIds=$violation" --actions quarantine
for i in 1 2 3 4; do
  aws iot create-security-profile --security-profile-name "P$i" >/dev/null
  aws iot attach-security-profile --security-profile-name "P$i" --security-profile-target-arn arn:aws:iot:us-east-1:123456789012:all/things
done
aws iot create-security-profile --security-profile-name P5 >/dev/null
refused LimitExceededException aws iot attach-security-profile --security-profile-name P5 --security-profile-target-arn arn:aws:iot:us-east-1:123456789012:all/things
refused InvalidRequestException aws iot list-security-profiles --metric-name m --dimension-name d
refused InvalidRequestException aws iot list-active-violations --next-token nonsense
refused ResourceNotFoundException aws iot list-metric-values "${period[@]}" --thing-name nosuch --metric-name aws:all-packets-out
refused ResourceAlreadyExistsException aws iot create-custom-metric --metric-name "$(aws iot create-custom-metric --metric-name battery --metric-type number | jq -r .metricName)" --metric-type string-list
refused InvalidRequestException aws iot create-dimension --name d --type TOPIC_FILTER --string-values 'a/#/b'
# With AWS's quotas of calls a second, and somebody else who uses them up.
"$folder/defenderctl" serve --listen 127.0.0.1:0 --data "$folder/throttled" --throttle >"$folder/serve.log" &
others+=($!)
serving() { grep -q 'http://127.0.0.1:[0-9]*' "$folder/serve.log"; }
until_true 60 "the second service's URL" serving
endpoint=$(grep -o 'http://127.0.0.1:[0-9]*' "$folder/serve.log" | head -1)
python3 - "$endpoint" <<'PYTHON' &
import sys, urllib.error, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1] + "/security-profiles").read()
    except urllib.error.HTTPError:
        pass
PYTHON
others+=($!)
throttled() { { AWS_MAX_ATTEMPTS=1 aws iot list-security-profiles 2>&1 || true; } | grep '(ThrottlingException)'; }
until_true 60 "a call that is throttled" throttled

echo
echo "the AWS CLI's checks passed"
