#!/bin/sh
# Runs after the deb or rpm was unpacked. It neither enables nor starts the
# service; a service that runs is restarted with the new version.
set -e
if ! getent passwd defenderctl >/dev/null; then
  useradd --system --user-group --no-create-home --home-dir /var/lib/defenderctl --shell /usr/sbin/nologin defenderctl
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart defenderctl.service
fi
