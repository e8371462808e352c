#!/usr/bin/env bash
# Runs the official Greengrass IPC client for Node as a component of the
# stand-in core, as each nucleus in turn. Needs go, node 20 and npm.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go build -o "$work/localcore-serve" ./scripts/localcore-serve
cp scripts/ipc-node-client/* "$work"
# The package brings its native libraries along; nothing needs to be run.
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)

for nucleus in nucleus lite; do
	if ! "$work/localcore-serve" -as "$nucleus" "$work/recipe.yaml" node "$work/client.mjs" "$nucleus" 2>"$work/log"; then
		cat "$work/log" >&2
		echo "check-ipc-with-node: failed against $nucleus" >&2
		exit 1
	fi
done
