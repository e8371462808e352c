#!/usr/bin/env bash
# Print how fast defenderctl backtest is: ten million values (or as many as
# asked), as a million reports of a thousand things with ten metrics each, from
# a file to the result. The file is made first; it takes 1 GB of TMPDIR.
set -euo pipefail
cd "$(dirname "$0")/.."
values=${1:-10000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$work/defenderctl" ./component/defenderctl
awk -v reports=$((values / 10)) 'BEGIN {
	connection = "{\"remote_addr\":\"%s\",\"local_interface\":\"eth0\",\"local_port\":40000}"
	connections = sprintf(connection "," connection "," connection "," connection, "192.0.2.1:8883", "192.0.2.7:443", "10.1.2.3:22", "198.51.100.9:443")
	for (n = 0; n < reports; n++) {
		at = strftime("%Y-%m-%dT%H:%M:%SZ", 1795132800 + int(n / 1000) * 300, 1)
		printf "{\"thing\":\"thing-%04d\",\"time\":\"%s\",\"report\":{\"header\":{\"report_id\":%d,\"version\":\"1.0\"},\"metrics\":{", n % 1000, at, n + 1
		printf "\"listening_tcp_ports\":{\"ports\":[{\"port\":22,\"interface\":\"0.0.0.0\"},{\"port\":443,\"interface\":\"eth0\"}],\"total\":2},"
		printf "\"listening_udp_ports\":{\"ports\":[{\"port\":68,\"interface\":\"eth0\"}],\"total\":1},"
		printf "\"network_stats\":{\"bytes_in\":%d,\"bytes_out\":%d,\"packets_in\":%d,\"packets_out\":%d},", n * 104723 % 100000, n * 104729 % 100000, n * 7907 % 500, n * 7919 % 1000
		printf "\"tcp_connections\":{\"established_connections\":{\"connections\":[%s],\"total\":4}}}}}\n", connections
	}
}' >"$work/fleet.ndjson"
cat >"$work/fleet.yaml" <<'PROFILE'
securityProfileName: Fleet
behaviors:
  - {name: PacketsOut, metric: aws:all-packets-out, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3}}
  - {name: BytesOut, metric: aws:all-bytes-out, criteria: {comparisonOperator: less-than-equals, statisticalThreshold: {statistic: p99.99}, durationSeconds: 300, consecutiveDatapointsToAlarm: 3}}
  - {name: PacketsIn, metric: aws:all-packets-in, criteria: {comparisonOperator: less-than-equals, value: {count: 1000}, durationSeconds: 300}}
  - {name: BytesIn, metric: aws:all-bytes-in, criteria: {comparisonOperator: less-than-equals, value: {count: 10000000}, durationSeconds: 900}}
  - {name: TCPPortCount, metric: aws:num-listening-tcp-ports, criteria: {comparisonOperator: less-than-equals, value: {count: 20}, durationSeconds: 300}}
  - {name: UDPPortCount, metric: aws:num-listening-udp-ports, criteria: {comparisonOperator: less-than-equals, value: {count: 20}, durationSeconds: 300}}
  - {name: Connections, metric: aws:num-established-tcp-connections, criteria: {comparisonOperator: less-than-equals, value: {count: 200}, durationSeconds: 300}}
  - {name: TCPPorts, metric: aws:listening-tcp-ports, criteria: {comparisonOperator: in-port-set, value: {ports: [22, 443, 8883]}}}
  - {name: UDPPorts, metric: aws:listening-udp-ports, criteria: {comparisonOperator: not-in-port-set, value: {ports: [19, 161]}}}
  - {name: Destinations, metric: aws:destination-ip-addresses, criteria: {comparisonOperator: in-cidr-set, value: {cidrs: [10.0.0.0/8, 192.0.2.0/24, 198.51.100.0/24]}}}
PROFILE
stat -c %s "$work/fleet.ndjson" | awk '{ printf "recording:\t%.0f MB\n", $1 / 1e6 }'
began=$(date +%s.%N)
"$work/defenderctl" backtest "$work/fleet.yaml" --reports "$work/fleet.ndjson" --output json >"$work/result.json" &
pid=$!
while peak=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$peak" ]; do
	last=$peak
	sleep 0.2
done
wait "$pid"
took=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { print b - a }')
grep -o '"values": [0-9]*' "$work/result.json" | head -n 1 | awk -v took="$took" '{ printf "backtest:\t%.1f s, %d values, %.0f values/s\n", took, $2, $2 / took }'
echo "memory:	$((last / 1024)) MB at most"
