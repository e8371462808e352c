//go:build linux

package main

import "net/url"

type object = map[string]any

// behavior is a behavior that alarms with its first violation.
func behavior(name, metric, operator string, value any, seconds int) object {
	criteria := object{"comparisonOperator": operator, "value": value, "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1}
	if seconds > 0 {
		criteria["durationSeconds"] = seconds
	}
	return object{"name": name, "metric": metric, "criteria": criteria}
}

// statistical is a behavior that compares with a percentile of the fleet.
func statistical(name, metric string) object {
	return object{"name": name, "metric": metric, "criteria": object{
		"comparisonOperator": "less-than-equals", "durationSeconds": 300, "consecutiveDatapointsToAlarm": 1, "consecutiveDatapointsToClear": 1,
		"statisticalThreshold": object{"statistic": "p99.99"},
	}}
}

func count(n int64) object     { return object{"count": n} }
func ports(n ...int) object    { return object{"ports": n} }
func cidrs(s ...string) object { return object{"cidrs": s} }

// fleetProfile is ten behaviors, two of them statistical and three on lists:
// those of the benchmark of package detect. Only the statistical ones can alarm.
func fleetProfile() object {
	return object{"behaviors": []object{
		statistical("PacketsOut", "aws:all-packets-out"),
		statistical("BytesOut", "aws:all-bytes-out"),
		behavior("PacketsIn", "aws:all-packets-in", "less-than", count(1_000_000), 300),
		behavior("BytesIn", "aws:all-bytes-in", "less-than", count(1<<40), 900),
		behavior("TCPPortCount", "aws:num-listening-tcp-ports", "less-than-equals", count(20), 300),
		behavior("UDPPortCount", "aws:num-listening-udp-ports", "less-than-equals", count(20), 300),
		behavior("Connections", "aws:num-established-tcp-connections", "less-than-equals", count(1000), 300),
		behavior("TCPPorts", "aws:listening-tcp-ports", "in-port-set", ports(22, 80, 443, 8883), 0),
		behavior("UDPPorts", "aws:listening-udp-ports", "not-in-port-set", ports(19, 161), 0),
		behavior("Destinations", "aws:destination-ip-addresses", "in-cidr-set", cidrs("10.0.0.0/8", "127.0.0.0/8"), 0),
	}}
}

// alarmBehaviors is how many behaviors alarmProfile has.
const alarmBehaviors = 10

// alarmProfile is ten behaviors that an alarming report violates, and an
// ordinary one does not.
func alarmProfile() object {
	return object{"behaviors": []object{
		behavior("TCPPorts1", "aws:listening-tcp-ports", "in-port-set", ports(22, 80, 443, 8883), 0),
		behavior("TCPPorts2", "aws:listening-tcp-ports", "in-port-set", ports(22, 80, 443, 8443, 8883), 0),
		behavior("TCPPorts3", "aws:listening-tcp-ports", "not-in-port-set", ports(23), 0),
		behavior("TCPPorts4", "aws:listening-tcp-ports", "not-in-port-set", ports(21, 23), 0),
		behavior("TCPPortCount1", "aws:num-listening-tcp-ports", "less-than-equals", count(4), 0),
		behavior("TCPPortCount2", "aws:num-listening-tcp-ports", "less-than", count(5), 0),
		behavior("Destinations1", "aws:destination-ip-addresses", "in-cidr-set", cidrs("10.0.0.0/8"), 0),
		behavior("Destinations2", "aws:destination-ip-addresses", "in-cidr-set", cidrs("10.0.0.0/8", "127.0.0.0/8"), 0),
		behavior("Destinations3", "aws:destination-ip-addresses", "not-in-cidr-set", cidrs("203.0.113.0/24"), 0),
		behavior("Destinations4", "aws:destination-ip-addresses", "not-in-cidr-set", cidrs("203.0.113.0/28", "198.51.100.0/24"), 0),
	}}
}

// everyThing is the target that all things are in, registered or not.
var everyThing = url.QueryEscape("arn:aws:iot:us-east-1:123456789012:all/things")
