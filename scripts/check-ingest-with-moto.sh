#!/usr/bin/env bash
# A fleet on AWS and a service, with moto in the place of AWS: defenderctl ingest setup makes
# queues, role and rules, serve --queue takes what the rules would put there, a violation is
# found at the time when it happened, its alert goes to a topic of SNS, the thing is moved to
# the quarantine group of AWS IoT and out of it, and ingest check says what is wrong. A service
# that is killed while it drains a backlog loses nothing. The CloudFormation template makes
# the same as setup, and cfn-lint takes it and what profile export writes.
#
# moto keeps rules and does not run them: the script puts the messages into the queue that AWS
# IoT would. It enforces no policy, and makes neither rules nor policies from templates.
#
# Needs python3 with venv, jq, and a Python package index.
# Usage: scripts/check-ingest-with-moto.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=scripts/with-moto.sh
. scripts/with-moto.sh

# aws is defenderctl with AWS, which is moto; defender is it with the service.
aws() { AWS_ENDPOINT_URL=$moto defenderctl "$@"; }
defender() { AWS_ENDPOINT_URL_IOT=$service defenderctl "$@"; }
python() { AWS_ENDPOINT_URL=$moto command python "$@"; }

topics=arn:aws:sns:us-east-1:123456789012
# serve NAME ARG...: starts the service with its state in a folder of that name; its URL is in service.
serve() {
  local log=$folder/$1.log
  : >"$log"
  AWS_ENDPOINT_URL_SQS=$moto AWS_ENDPOINT_URL_SNS=$moto defenderctl serve --listen 127.0.0.1:0 --data "$folder/$1" \
    --registry aws --registry-endpoint "$moto" --sns "$topics:device-defender-*" "${@:2}" >"$log" 2>&1 &
  running=$!
  others+=("$running")
  until_true 60 "the service's address" grep -q 'listening on http://' "$log"
  service=$(grep -o 'listening on http://127.0.0.1:[0-9]*' "$log" | grep -o 'http.*')
}
# ended: the service ends in good order.
ended() {
  kill -TERM "$running"
  wait "$running" || fail "serve ended with $?"
}

step "what cfn-lint says of templates"
cfn-lint artifacts/*/*.template.json

step "setup: it is made once"
if aws ingest check >"$folder/check.txt" 2>/dev/null; then fail "check finds nothing wrong in an empty account"; fi
has "check of an empty account" "$(cat "$folder/check.txt")" "LOST  there is no rule device_defender_reports"
aws ingest setup --core gw-1 --yes | tee "$folder/setup.txt"
has "the core's policy" "$(cat "$folder/setup.txt")" '/device_defender_reports/gw-1"'
has "once more" "$(aws ingest setup --yes)" "nothing to do"
aws ingest check
queue=$(sed -n 's/^ *defenderctl serve --queue //p' "$folder/setup.txt")
# What an account has besides: its things, a group for quarantine, a topic with a subscription.
python - <<'PY'
import boto3
iot, sns, sqs = boto3.client("iot"), boto3.client("sns"), boto3.client("sqs")
for name in ["gw-1", "gw-2", "gw-3"] + ["thing-%02d" % i for i in range(50)]:
    iot.create_thing(thingName=name)
iot.create_thing_group(thingGroupName="quarantine")
topic = sns.create_topic(Name="device-defender-alerts")["TopicArn"]
url = sqs.create_queue(QueueName="alerts")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
for name in "plain", "killed":
    sqs.create_queue(QueueName=name)
PY

step "a service with a profile, which is not there when a backlog comes"
serve data
profile() {
  cat <<YAML
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
alertTargets:
  SNS: {alertTargetArn: "$topics:$1", roleArn: "arn:aws:iam::123456789012:role/device-defender-alerts"}
targets:
  - all/things
YAML
}
profile another >"$folder/another.yaml"
if defender profile apply --yes "$folder/another.yaml" >"$folder/refused.txt" 2>&1; then fail "a topic is taken that is not allowed"; fi
has "a topic that is not allowed" "$(cat "$folder/refused.txt")" "--sns"
profile device-defender-alerts >"$folder/profile.yaml"
defender profile apply --yes "$folder/profile.yaml"
sed 's/ACCOUNT/123456789012/' artifacts/mitigation/quarantine-action.json >"$folder/action.json"
defender mitigation apply --yes "$folder/action.json"
ended

# A backlog of an hour of three cores, in no order and partly twice: gw-1 sends too much half an hour ago,
# and goes on as usual; gw-2 does the same in CBOR; gw-3's come by SNS. Then what nobody can take: no
# JSON, a report of a topic that is another's, what is no report.
cat >"$folder/messages.py" <<'PY'
import base64, json, random, sys, time

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

def hour():
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
    return bodies + ["no JSON", message("gw-1", begin, 1, topic="gw-2"), json.dumps({"payload": "e30=", "thing": "gw-1"})]

# 20 reports of 50 things; each thing sends too much in two of them.
def backlog(begin):
    return [message("thing-%02d" % k, begin + i * 300 + k, 9000 if i % 10 == k % 10 else 100) for i in range(20) for k in range(50)]

print("\n".join(hour() if sys.argv[1] == "hour" else backlog(int(sys.argv[2]))))
PY
python "$folder/messages.py" hour >"$folder/hour"
send "$queue" <"$folder/hour"
has "what waits" "$(aws ingest check 2>/dev/null || true)" "LOST  about 49 messages wait, and nothing receives them"
serve data --queue "$queue"

step "the violation is found, at the time when it happened, and is over"
dead() { [[ $(aws ingest check 2>/dev/null || true) == *'about 3 messages could not be taken'* ]]; }
until_true 90 "three messages in the dead-letter queue" dead
has "the log" "$(cat "$folder/data.log")" "message is not JSON"
has "the log" "$(cat "$folder/data.log")" 'topic \"gw-2\" is not of thing'
for thing in gw-1 gw-2; do
  same "what happened to $thing" "$(defender violation list --since 2h --thing $thing --output json | jq -r 'map(.state) | sort | join(",")')" alarm-cleared,in-alarm
done
same "what happened to gw-3" "$(defender violation list --since 2h --thing gw-3 --output json | jq length)" 0
for thing in gw-1 gw-2 gw-3; do
  same "values of $thing" "$(defender metric values $thing aws:all-packets-out --since 2h --as csv | grep -c '^20')" 12
done

step "its alerts are in the topic, in order"
# alerts: what the subscription of the topic has got.
cat >"$folder/alerts.py" <<'PY'
import boto3, json
sqs = boto3.client("sqs")
url = sqs.get_queue_url(QueueName="alerts")["QueueUrl"]
with open("alerts", "a") as f:
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for m in got:
            alert = json.loads(json.loads(m["Body"])["Message"])
            print(alert["thingName"], alert["behavior"]["name"], alert["violationEventType"], file=f)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
PY
: >"$folder/alerts"
four() { (cd "$folder" && python alerts.py) && [ "$(wc -l <"$folder/alerts")" -ge 4 ]; }
until_true 60 "four alerts" four
cat "$folder/alerts"
for thing in gw-1 gw-2; do
  same "alerts of $thing" "$(grep "^$thing " "$folder/alerts" | cut -d ' ' -f 2- | paste -sd ,)" \
    "PacketExfiltration in-alarm,PacketExfiltration alarm-cleared"
done
same "alerts" "$(wc -l <"$folder/alerts")" 4

step "quarantine is real, and so is the way out"
group() { python -c 'import boto3; print(*sorted(boto3.client("iot").list_things_in_thing_group(thingGroupName="quarantine")["things"]))'; }
same "the group before" "$(group)" ""
defender mitigation start --profile-name DataExfiltrationCheck --behavior PacketExfiltration --since 2h --action QuarantineDevice
same "the group of AWS IoT" "$(group)" "gw-1 gw-2"
defender mitigation release gw-1
same "the group after the release of gw-1" "$(group)" "gw-2"
same "the groups of gw-2 here" "$(defender thing show gw-2 --output json | jq -r '.thingGroups | join(",")')" quarantine
defender mitigation release gw-2
same "the group after both" "$(group)" ""

step "what cfn-lint says of exports"
for file in artifacts/profiles/*.json; do defender profile apply --yes "$file" >"$folder/applied.txt"; done
defender profile export --format cloudformation >"$folder/export.template.json"
jq -r '.Resources | length' "$folder/export.template.json"
# cfn-lint wants IPv4 for each of Cidrs. Detect takes both, and so does CloudFormation's own schema.
cfn-lint --format parseable "$folder/export.template.json" >"$folder/lint.txt" || true
if grep -v ":E3002:.* is not a 'ipv4-network'$" "$folder/lint.txt"; then fail "cfn-lint refuses an export"; fi

step "the end: nothing is left in the queue"
ended
aws ingest check >"$folder/check.txt" || true
cat "$folder/check.txt"
has "what waits" "$(cat "$folder/check.txt")" "ok    about 0 messages wait, and 0 are being worked on"

step "a backlog of 1,000 reports, and the service is killed while it drains it"
python "$folder/messages.py" backlog $(($(date +%s) - 7200)) >"$folder/backlog"
# in_queue NAME [FEWER PID]: how many messages wait, and how many are held. With more arguments a
# process is killed when fewer wait and it holds some.
cat >"$folder/in_queue.py" <<'PY'
import boto3, os, signal, sys
sqs = boto3.client("sqs")
names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
url = sqs.get_queue_url(QueueName=sys.argv[1])["QueueUrl"]
def look():
    have = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [int(have[n]) for n in names]
if len(sys.argv) > 2:
    while True:
        waiting, held = look()
        if waiting < int(sys.argv[2]) and held > 0 or waiting + held == 0:
            break
    os.kill(int(sys.argv[3]), signal.SIGKILL)
print(*look())
PY
in_queue() { python "$folder/in_queue.py" "$@"; }
empty() { [ "$(in_queue "$1")" = "0 0" ]; }
# found NAME: what the service has found and kept.
found() {
  # Two alarms of each thing; the last of five things are not over.
  same "violation events" "$(defender violation list --since 3h --output json | jq length)" 195
  defender violation list --since 3h --output json | jq -r '.[] | "\(.thing) \(.behavior) \(.state) \(.time)"' | sort >"$folder/$1.violations"
  defender record --from-api --all-things --metric aws:all-packets-out --since 3h --output-file - 2>/dev/null >"$folder/$1.values"
}
# begun NAME: a service of that name has the profile, and drains a queue of that name.
begun() {
  send "${queue%/*}/$1" <"$folder/backlog"
  serve "$1"
  defender profile apply --yes "$folder/profile.yaml" >"$folder/applied.txt"
  ended
  serve "$1" --queue "${queue%/*}/$1"
}
begun killed
# It may have told the queue just before it was killed: then once more.
for fewer in 900 600 300; do
  in_queue killed $fewer "$running" >"$folder/left"
  wait "$running" 2>/dev/null || true
  echo "killed; messages that wait, and that it held: $(cat "$folder/left")"
  serve killed --queue "${queue%/*}/killed"
  if [[ $(cat "$folder/left") != *" 0" ]]; then break; fi
done
again=("$service" "$running")

# The other one runs while the messages come back that were held.
begun plain
until_true 60 "the end of the queue" empty plain
found plain
ended

service=${again[0]} running=${again[1]}
until_true 120 "the end of the queue" empty killed
found killed
ended
cmp "$folder/plain.violations" "$folder/killed.violations"
cmp "$folder/plain.values" "$folder/killed.values"
has "a violation event" "$(cat "$folder/killed.violations")" "thing-07 PacketExfiltration in-alarm 20"
wc -l "$folder/killed.violations" "$folder/killed.values"

step "the template in another account"
# moto makes of it the queues and the role, without policies and rules. That it is all that setup makes is
# held by a test, TestIngestTemplateIsWhatSetupMakes.
start_moto moto2
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
echo "reports reach the service, and what follows from them reaches AWS"
