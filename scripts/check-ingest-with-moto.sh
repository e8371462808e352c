#!/usr/bin/env bash
# Reports from AWS to a service, with moto in the place of AWS: defenderctl ingest
# setup makes queues, role and rules, serve --queue takes what the rules would put
# there, a violation is found at the time when it happened, and ingest check says
# what is wrong. The CloudFormation template makes the same, and cfn-lint takes it.
#
# moto keeps rules and does not run them: the script puts the messages into the queue
# that AWS IoT would. It enforces no policy either.
#
# Needs python3 with venv, jq, and a Python package index.
# Usage: scripts/check-ingest-with-moto.sh
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
others=()
end() {
  [ ${#others[@]} -eq 0 ] || kill "${others[@]}" 2>/dev/null || true
  wait
  rm -rf "$folder"
}
trap end EXIT

fail() {
  echo "check-ingest-with-moto: $*" >&2
  tail -n 30 "$folder"/*.log >&2 || true
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

# has WHAT TEXT WANT
has() { [[ $2 == *"$3"* ]] || fail "$1: got '$2', want '$3' in it"; }

step "moto and cfn-lint"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5' 'cfn-lint==1.58.0'
"$folder/venv/bin/cfn-lint" artifacts/ingest/ingest.template.json
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p 0 >"$folder/moto.log" 2>&1 &
others+=($!)
moto() { grep -o 'http://127.0.0.1:[0-9]*' "$folder/moto.log" | head -1; }
moto_runs() { moto >/dev/null; }
until_true 60 "moto" moto_runs

# An account that does not exist, and nothing of this user's own.
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1 \
  AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$folder/none" AWS_SHARED_CREDENTIALS_FILE="$folder/none"
CGO_ENABLED=0 go build -o "$folder/defenderctl" ./component/defenderctl
# aws is defenderctl with AWS, which is moto; defender is it with the service.
aws() { AWS_ENDPOINT_URL=$(moto) "$folder/defenderctl" "$@"; }
defender() { AWS_ENDPOINT_URL_IOT=$service "$folder/defenderctl" "$@"; }
python() { AWS_ENDPOINT_URL=$(moto) "$folder/venv/bin/python" "$@"; }

step "setup: it is made once"
if aws ingest check >"$folder/check.txt" 2>/dev/null; then fail "check finds nothing wrong in an empty account"; fi
has "check of an empty account" "$(cat "$folder/check.txt")" "LOST  there is no rule device_defender_reports"
aws ingest setup --core gw-1 --yes | tee "$folder/setup.txt"
has "the core's policy" "$(cat "$folder/setup.txt")" '/device_defender_reports/gw-1"'
has "once more" "$(aws ingest setup --yes)" "nothing to do"
aws ingest check
queue=$(sed -n 's/^ *defenderctl serve --queue //p' "$folder/setup.txt")

step "a service with a profile, which is not there when a backlog comes"
url() { grep -o 'listening on http://127.0.0.1:[0-9]*' "$folder/serve.log" | grep -o 'http.*'; }
listening() { url >/dev/null; }
# serve ARG...: starts the service; its URL is in service.
serve() {
  : >"$folder/serve.log"
  AWS_ENDPOINT_URL_SQS=$(moto) "$folder/defenderctl" serve --listen 127.0.0.1:0 --data "$folder/data" "$@" >"$folder/serve.log" &
  running=$!
  others+=("$running")
  until_true 60 "the service's address" listening
  service=$(url)
}
# ended: the service ends in good order.
ended() {
  kill -TERM "$running"
  wait "$running" || fail "serve ended with $?"
}
serve
cat >"$folder/profile.yaml" <<'YAML'
securityProfileName: DataExfiltrationCheck
behaviors:
  - name: PacketExfiltration
    metric: aws:all-packets-out
    criteria:
      comparisonOperator: less-than-equals
      value: {count: 5000}
      durationSeconds: 300
      consecutiveDatapointsToAlarm: 1
      consecutiveDatapointsToClear: 1
  - name: Disconnects
    metric: aws:num-disconnects
    criteria:
      comparisonOperator: less-than-equals
      value: {count: 100}
      durationSeconds: 300
targets:
  - all/things
YAML
defender profile apply --yes "$folder/profile.yaml"

ended

# A backlog of an hour of three cores, in no order and partly twice: gw-1 sends too much half an hour ago,
# and goes on as usual; gw-2 does the same in CBOR; gw-3's come by SNS. Then what nobody can take: no
# JSON, a report of a topic that is another's, what is no report.
cat >"$folder/send.py" <<'PY'
import base64, boto3, json, random, sys, time

sqs, queue = boto3.client("sqs"), sys.argv[1]

def cbor(v):
    def head(major, n):
        for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
            if n < 24:
                return bytes([major << 5 | n])
            if n < 1 << 8 * size:
                return bytes([major << 5 | code]) + n.to_bytes(size, "big")
    if isinstance(v, dict):
        return head(5, len(v)) + b"".join(cbor(k) + cbor(w) for k, w in v.items())
    if isinstance(v, str):
        return head(3, len(v)) + v.encode()
    return head(0, v)

def message(thing, at, packets, encode=lambda r: json.dumps(r).encode(), topic=None):
    report = {"header": {"report_id": at, "version": "1.0"}, "metrics": {"network_stats": {"packets_out": packets}}}
    return json.dumps({"payload": base64.b64encode(encode(report)).decode(), "thing": thing, "topic": topic or thing,
                       "principal": "0" * 64, "timestamp": at * 1000})

begin, bodies = int(time.time()) - 3600, []
for i in range(12):
    at, packets = begin + i * 300, 9000 if i == 6 else 100
    bodies += [message("gw-1", at, packets), message("gw-2", at, packets, cbor)]
    bodies.append(json.dumps({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
                              "Message": message("gw-3", at, 100), "Timestamp": "2026-01-01T00:00:00.000Z"}))
bodies += bodies[:9]
random.seed(7)
random.shuffle(bodies)
bodies.append(json.dumps({"clientId": "gw-1", "timestamp": begin * 1000, "eventType": "disconnected", "sessionIdentifier": "s",
                          "principalIdentifier": "0" * 64, "clientInitiatedDisconnect": False, "disconnectReason": "CONNECTION_LOST",
                          "versionNumber": 0, "topic": "$aws/events/presence/disconnected/gw-1"}))
bodies += ["no JSON", message("gw-1", begin, 1, topic="gw-2"), json.dumps({"payload": "e30=", "thing": "gw-1"})]
for i in range(0, len(bodies), 10):
    batch = [{"Id": str(k), "MessageBody": b} for k, b in enumerate(bodies[i:i + 10])]
    assert not sqs.send_message_batch(QueueUrl=queue, Entries=batch).get("Failed")
print(len(bodies), "messages")
PY
python "$folder/send.py" "$queue"
has "what waits" "$(aws ingest check 2>/dev/null || true)" "LOST  about 49 messages wait, and nothing receives them"
serve --queue "$queue"

step "the violation is found, at the time when it happened, and is over"
dead() { [[ $(aws ingest check 2>/dev/null || true) == *'about 3 messages could not be taken'* ]]; }
until_true 90 "three messages in the dead-letter queue" dead
has "the log" "$(cat "$folder/serve.log")" "message is not JSON"
has "the log" "$(cat "$folder/serve.log")" 'topic \"gw-2\" is not of thing'
for thing in gw-1 gw-2; do
  same "what happened to $thing" "$(defender violation list --since 2h --thing $thing --output json | jq -r 'map(.state) | sort | join(",")')" alarm-cleared,in-alarm
done
same "what happened to gw-3" "$(defender violation list --since 2h --thing gw-3 --output json | jq length)" 0
for thing in gw-1 gw-2 gw-3; do
  same "values of $thing" "$(defender metric values $thing aws:all-packets-out --since 2h --as csv | grep -c '^20')" 12
done

step "the end: nothing is left in the queue"
ended
aws ingest check >"$folder/check.txt" || true
cat "$folder/check.txt"
has "what waits" "$(cat "$folder/check.txt")" "ok    about 0 messages wait, and 0 are being worked on"

step "the template in another account"
# moto makes of it the queues and the role, without policies and rules. That it is all that setup makes is
# held by a test, TestIngestTemplateIsWhatSetupMakes.
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p 0 >"$folder/moto2.log" 2>&1 &
others+=($!)
moto() { grep -o 'http://127.0.0.1:[0-9]*' "$folder/moto2.log" | head -1; }
until_true 60 "moto" moto_runs
python - artifacts/ingest/ingest.template.json <<'PY'
import boto3, sys
cf = boto3.client("cloudformation")
cf.create_stack(StackName="ingest", TemplateBody=open(sys.argv[1]).read(), Capabilities=["CAPABILITY_NAMED_IAM"])
print(cf.describe_stacks(StackName="ingest")["Stacks"][0]["StackStatus"])
PY
aws ingest setup --yes | tee "$folder/template.txt"
has "setup after the template" "$(cat "$folder/template.txt")" "= queue device-defender-dead-letters"
has "setup after the template" "$(cat "$folder/template.txt")" "queue device-defender-reports (its policy"
has "setup after the template" "$(cat "$folder/template.txt")" "= role device-defender-ingest"
has "setup once more" "$(aws ingest setup --yes)" "nothing to do"

echo
echo "reports reach the service"
