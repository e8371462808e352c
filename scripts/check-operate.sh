#!/usr/bin/env bash
# Runs the commands of artifacts/OPERATE.md as they are written, with moto in the place of
# AWS: the indented blocks, section by section. Between them it is the core: AWS IoT that
# puts reports of gw-1 into the queue, and core-1 that sends its own by MQTT. What is reported
# is what the component sees on this machine.
#
# Needs python3 with venv, jq, curl, openssl, a Python package index, and free ports 8443 and 8883.
# Usage: scripts/check-operate.sh
set -euo pipefail
cd "$(dirname "$0")/.."
page=$PWD/artifacts/OPERATE.md

# shellcheck source=scripts/with-moto.sh
. scripts/with-moto.sh

for i in $(seq 10); do
  # The indented blocks of a section; what is fenced is not run.
  # shellcheck disable=SC2016 # the quoted backticks are Markdown's
  sed -n "/^## $i\\. /,/^## $((i + 1))\\. /p" "$page" | sed '/^```/,/^```/d' | sed -n 's/^    //p' >"$folder/section-$i"
  [ -s "$folder/section-$i" ] || fail "section $i of the page has no commands"
done

# section N: runs its commands in this shell, as a person would in a terminal.
section() {
  step "$(sed -n "s/^## \\($1\\. .*\\)/\\1/p" "$page")"
  set -x
  # shellcheck source=/dev/null
  . "$folder/section-$1" >"$folder/shown-$1"
  { set +x; } 2>/dev/null
  cat "$folder/shown-$1"
}
# shows N WANT: a section showed it.
shows() { has "section $1" "$(cat "$folder/shown-$1")" "$2"; }

# What is a channel of Slack elsewhere: it keeps what is posted.
cat >"$folder/receiver.py" <<'PY'
import http.server, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as f:
            f.write(body + b"\n")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
PY
python "$folder/receiver.py" "$folder/posted" >"$folder/receiver-port" &
others+=($!)
until_true 30 "the receiver" test -s "$folder/receiver-port"
export SLACK_URL
SLACK_URL=http://127.0.0.1:$(cat "$folder/receiver-port")/
# AWS is moto for all but what the page says of AWS IoT.
export AWS_ENDPOINT_URL=$moto

# report SECONDS: a report of the component about this machine, that many seconds old.
report() {
  device-defender print | jq -c --argjson id "$(($(date +%s) - $1))" '.header.report_id = $id'
}
# gateway SECONDS: puts such a report of gw-1 into the queue, as the rule does.
gateway() {
  report "$1" | jq -Rc --argjson at "$((($(date +%s) - $1) * 1000))" \
    '{payload: @base64, thing: "gw-1", topic: "gw-1", principal: ("0" * 64), timestamp: $at}' |
    (export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing && send "$queue")
}
reported() { defenderctl thing show "$1" --output json 2>/dev/null | jq -e .lastReport >/dev/null; }
# in_alarm N: that many things are.
in_alarm() { [ "$(defenderctl violation list --output json | jq length)" = "$1" ]; }
posted() { grep -q "$1" "$folder/posted"; }

cd "$folder"
for i in 1 2 3; do section $i; done
has "the service's policy" "$(jq -c '.Statement[0].Action' service.json)" sqs:ReceiveMessage
queue=$(sed -n 's/^ *defenderctl serve --queue //p' setup.txt)
# The last command of section 4 stays in its terminal.
sed -n '$s/^/exec /p' "$folder/section-4" >"$folder/serve"
has "the last command of section 4" "$(cat "$folder/serve")" "defenderctl serve --config"
sed -i '$d' "$folder/section-4"
section 4
bash "$folder/serve" >"$folder/serve.log" 2>&1 &
others+=($!)
until_true 60 "the service" curl -fs --cacert tls.crt -o "$folder/ready" https://localhost:8443/readyz

section 5
shows 5 reports

# A core's certificate, as AWS IoT or an authority makes it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=whatever -keyout thing.key -out thingCert.crt 2>/dev/null
section 6
shows 6 core-1
has "the core's policy" "$(jq -r '.Statement[0].Resource' gw-1.json)" "/device_defender_reports/gw-1"
has "the deployment" "$(jq -r '.components[].configurationUpdate.merge | fromjson.ReportTopic' deployment.json)" "/device_defender_reports/{thing}"
cat >"$folder/publish.py" <<'PY'
import paho.mqtt.client as mqtt, sys

topic, replies = "$aws/things/core-1/defender/metrics/json", []
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="core-1")
client.tls_set("tls.crt", "thingCert.crt", "thing.key")
client.on_subscribe = lambda *_: client.publish(topic, sys.stdin.buffer.read().strip(), qos=1)
client.on_message = lambda _, __, m: (replies.append(m.topic), client.disconnect())
client.on_connect = lambda *_: client.subscribe([(topic + "/accepted", 1), (topic + "/rejected", 1)])
client.connect("localhost", 8883)
client.loop_forever()
assert replies == [topic + "/accepted"], replies
PY
# The service takes reports of a thing once in five minutes, so gw-1's first is as old.
gateway 360
until_true 60 "the first report of gw-1" reported gw-1
section 7
shows 7 "thing gw-1 is registered"

section 8
shows 8 "done: create security profile First"
shows 8 "delivered, it answered 200 OK"
posted "test" || fail "the test is not in the channel"
gateway 5
report 0 | python "$folder/publish.py"
until_true 60 "two violations" in_alarm 2
until_true 60 "an alert about gw-1" posted gw-1
until_true 60 "an alert about core-1" posted core-1
section 9
shows 9 "NoConnections on gw-1"
section 10
grep -q '^device_defender_' metrics.txt || fail "no metrics"
shows 10 CreateSecurityProfile
[ -d restored/store ] || fail "nothing was restored"

echo
echo "the page's commands work as written"
