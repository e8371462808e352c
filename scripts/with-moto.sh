# shellcheck shell=bash
# What scripts share that check the service with moto in the place of AWS. It is sourced: then
# there are a folder for all that follows, defenderctl and device-defender in $PATH, moto, and
# the functions below. moto keeps rules of AWS IoT and does not run them, so send puts into the
# queue what AWS IoT would. moto enforces no policy either.
#
# MOTO_VENV is an environment variable: the Python environment with moto and cfn-lint, which is
# made if it is not there. Default: a new one.

folder=$(mktemp -d)
others=()
end() {
  [ ${#others[@]} -eq 0 ] || kill "${others[@]}" 2>/dev/null || true
  wait
  rm -rf "$folder"
}
trap end EXIT

fail() {
  echo "$(basename "$0" .sh): $*" >&2
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

# moto answers each call in a thread of its own and keeps its queues without locks, so a message
# that is deleted beside another comes again. This is moto with queues of which one call is
# answered at a time, and with a clock and a retention period that do not take it 30 ms a message.
cat >"$folder/serve_moto.py" <<'PY'
import threading, time
from moto.server import main
from moto.sqs import models
from moto.sqs.models import SQSBackend

lock = threading.RLock()

def one_at_a_time(name):
    call = getattr(SQSBackend, name)
    def locked(*args, **named):
        with lock:
            return call(*args, **named)
    setattr(SQSBackend, name, locked)

for name in ("send_message", "send_message_batch", "delete_message", "delete_message_batch", "change_message_visibility",
             "change_message_visibility_batch", "get_queue_attributes"):
    one_at_a_time(name)

receive = SQSBackend.receive_message

def polled(self, queue_name, count, wait_seconds_timeout, *more, **named):
    end = time.monotonic() + wait_seconds_timeout
    while True:
        with lock:
            got = receive(self, queue_name, count, 0, *more, **named)
        if got or time.monotonic() >= end:
            return got
        time.sleep(0.05)

SQSBackend.receive_message = polled
SQSBackend.is_message_valid_based_on_retention_period = lambda *_: True
models.unix_time_millis = lambda: time.time() * 1000
main()
PY

# start_moto NAME: starts moto with an empty account; its URL is in moto.
start_moto() {
  local log=$folder/$1.log
  "$venv/bin/python" "$folder/serve_moto.py" -H 127.0.0.1 -p 0 >"$log" 2>&1 &
  others+=($!)
  until_true 60 "moto" grep -q 'http://127.0.0.1:[0-9]' "$log"
  moto=$(grep -o 'http://127.0.0.1:[0-9]*' "$log" | head -1)
}

# send QUEUE: puts messages into a queue, one a line of the standard input.
send() { AWS_ENDPOINT_URL=$moto python "$folder/send.py" "$1"; }
cat >"$folder/send.py" <<'PY'
import boto3, sys

sqs, bodies = boto3.client("sqs"), sys.stdin.read().splitlines()
for i in range(0, len(bodies), 10):
    batch = [{"Id": str(k), "MessageBody": b} for k, b in enumerate(bodies[i:i + 10])]
    assert not sqs.send_message_batch(QueueUrl=sys.argv[1], Entries=batch).get("Failed")
print(len(bodies), "messages")
PY

venv=${MOTO_VENV:-$folder/venv}
if [ ! -x "$venv/bin/moto_server" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5' 'cfn-lint==1.58.0' 'paho-mqtt==2.1.0'
fi
mkdir "$folder/bin"
CGO_ENABLED=0 go build -o "$folder/bin/" ./component/...
export PATH=$folder/bin:$venv/bin:$PATH

# An account that does not exist, and nothing of this user's own.
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1 \
  AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$folder/none" AWS_SHARED_CREDENTIALS_FILE="$folder/none"
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_IOT
start_moto moto
