#!/usr/bin/env bash
# Runs the commands of the README's tutorial, as they are written there, and
# waits where a person would look. Needs jq, and port 8787 to be free.
# Usage: scripts/check-tutorial.sh
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
started=()
end() {
  [ ${#started[@]} -eq 0 ] || kill "${started[@]}" || true
  wait
  rm -rf "$work"
}
trap end EXIT

# In a clone of the working tree, so that nothing is left here.
git ls-files -co --exclude-standard -z | tar -c --ignore-failed-read --null -T - 2>/dev/null | tar -x -C "$work"
cd "$work"

# shellcheck disable=SC2016 # the quoted backticks are Markdown's
# Indented blocks between the headings are the commands; fenced ones, output.
sed -n '/^## Tutorial/,/^### On AWS/p' README.md | sed '/^```/,/^```/d' | sed -n 's/^    //p' >commands
grep -q '^\./defenderctl local' commands || { echo "check-tutorial: no commands found" >&2; exit 1; }

# The first terminal has what is before the export, and its last command stays.
sed '/^export /,$d' commands | sed '$d' >build
bash -euo pipefail build
read -ra core < <(grep '^\./defenderctl local' commands)
"${core[@]}" >core.log &
started+=($!)
accepted() { [ "$(grep -c 'ACCEPTED report' core.log)" -ge 3 ]; }
for _ in $(seq 240); do
  if accepted; then break; fi
  sleep 0.5
done
accepted || { tail core.log >&2; echo "check-tutorial: no reports" >&2; exit 1; }

sed -n '/^export /,$p' commands >story
bash -euxo pipefail story | tee shown

for want in 'in-alarm' 'done: attach' 'NEW  127.0.0.66' 'QuarantineDevice' 'my-core is out of quarantine'; do
  grep -q -- "$want" shown || { echo "check-tutorial: '$want' is not shown" >&2; exit 1; }
done
grep -q '<svg' violation.html || { echo "check-tutorial: the page has no plot" >&2; exit 1; }
echo "the tutorial's commands work as written"
