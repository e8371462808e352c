package render

import (
	"fmt"
	"math"
	"time"
)

// The example: a sensor that sends about 1,200 packets in five minutes, and
// for twenty minutes many more, to an address that it never spoke to before.
var (
	exampleFrom = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	exampleTo   = exampleFrom.Add(6 * time.Hour)
	alarmFrom   = time.Date(2026, 11, 22, 12, 35, 0, 0, time.UTC)
	alarmTo     = alarmFrom.Add(20 * time.Minute)
)

const newAddress = "203.0.113.77"

// examplePoints are one every five minutes; two reports are missing.
func examplePoints(base, wave, burst float64) []Point {
	var points []Point
	for i := range 73 {
		t := exampleFrom.Add(time.Duration(i) * 5 * time.Minute)
		if i == 20 || i == 21 {
			continue
		}
		noise := math.Sin(float64(i)*1.7)*0.6 + math.Sin(float64(i)*0.61+1)*0.4 + math.Sin(float64(i*i))*0.5
		v := base + wave*noise
		if !t.Before(alarmFrom) && t.Before(alarmTo) {
			v = burst * (1 + 0.12*noise)
		}
		points = append(points, Point{t, math.Round(math.Max(v, 0))})
	}
	return points
}

func examplePlot(title, metric, unit string, base, wave, burst float64) Plot {
	return Plot{
		Title: title, Metric: metric, Unit: unit,
		Series: []Series{{Points: examplePoints(base, wave, burst)}},
		Alarms: []Span{{alarmFrom, alarmTo}},
		From:   exampleFrom, To: exampleTo,
	}
}

func exampleViolation() Violation {
	return Violation{
		ID: "37e18651d207bbc74236c13faf146127", Thing: "sensor-07", Profile: "DataExfiltrationCheck",
		Behavior: "PacketExfiltration", Metric: "aws:all-packets-out", State: Cleared,
		Expected: "at most p99.99 of all things' packets out in 5 minutes", Seen: "8,412 packets",
		Started: alarmFrom, LastSeen: alarmTo.Add(-5 * time.Minute), Ended: alarmTo,
	}
}

func exampleAbout() About {
	return About{Source: "defenderctl serve, 127.0.0.1:8787", Made: exampleTo}
}

func examplePage() ViolationPage {
	plot := examplePlot("packets out", "aws:all-packets-out", "packets", 1200, 180, 8000)
	plot.Thresholds = []Threshold{{"p99.99 of all things", 1730}}
	var addresses, ports []SetPoint
	for _, p := range plot.Series[0].Points {
		members := []string{"10.0.4.2", "10.0.4.17", "127.0.0.1", "2001:db8:4::17"}
		if p.Time.Minute()%20 == 0 {
			members = append(members, "198.51.100.9")
		}
		if !p.Time.Before(alarmFrom) && p.Time.Before(alarmTo) {
			members = append(members, newAddress)
		}
		addresses = append(addresses, SetPoint{Time: p.Time, Members: members})
		ports = append(ports, SetPoint{Time: p.Time, Members: []string{"22", "443", "8883"}})
	}
	return ViolationPage{
		About: exampleAbout(), Violation: exampleViolation(), Plot: &plot,
		Timeline: []Event{
			{Time: alarmFrom, Type: InAlarm, Value: "8,412 packets"},
			{Time: alarmTo, Type: Cleared, Value: "1,150 packets"},
		},
		Context: []Plot{
			examplePlot("bytes out", "aws:all-bytes-out", "bytes", 610e3, 90e3, 9.6e6),
			examplePlot("packets in", "aws:all-packets-in", "packets", 1350, 200, 4100),
			examplePlot("bytes in", "aws:all-bytes-in", "bytes", 820e3, 120e3, 1.1e6),
			examplePlot("established TCP connections", "aws:num-established-tcp-connections", "connections", 4, 1, 7),
		},
		Sets: []SetHistory{
			{Title: "destination IP addresses", Metric: "aws:destination-ip-addresses", Points: addresses, NewSince: alarmFrom.Add(-5 * time.Minute)},
			{Title: "listening TCP ports", Metric: "aws:listening-tcp-ports", Points: ports, NewSince: alarmFrom.Add(-5 * time.Minute)},
		},
	}
}

// exampleFleet is a month of violations.
func exampleFleet() FleetReport {
	r := FleetReport{About: exampleAbout(), From: exampleTo.AddDate(0, 0, -30), To: exampleTo}
	behaviors := []string{"PacketExfiltration", "PacketExfiltration", "ListeningPorts", "MessageRate"}
	profiles := []string{"DataExfiltrationCheck", "DataExfiltrationCheck", "HostServices", "HostServices"}
	for i := range 41 {
		start := r.From.Add(time.Duration(i*i*26) * time.Minute)
		v := exampleViolation()
		v.ID = fmt.Sprintf("%032x", i*7919)
		v.Thing = fmt.Sprintf("sensor-%02d", i*i%9)
		v.Behavior, v.Profile = behaviors[i%4], profiles[i%4]
		v.Started, v.Ended = start, start.Add(time.Duration(10+i%5*15)*time.Minute)
		r.Violations = append(r.Violations, v)
	}
	last := exampleViolation()
	last.Started, last.Ended, last.State = exampleTo.Add(-25*time.Minute), time.Time{}, InAlarm
	r.Violations = append(r.Violations, last)
	return r
}

func exampleOverview() Overview {
	active := exampleViolation()
	active.State, active.Started, active.Ended = InAlarm, exampleTo.Add(-25*time.Minute), time.Time{}
	about := exampleAbout()
	about.Live = true
	return Overview{
		About: about,
		Things: []ThingRow{
			{"sensor-07", true, []string{"quarantine", "sensors"}, exampleTo.Add(-2 * time.Minute), 1},
			{"sensor-01", true, []string{"sensors"}, exampleTo.Add(-3 * time.Minute), 0},
			{"gateway-berlin", false, nil, time.Time{}, 0},
		},
		Violations: ViolationList{Rows: []Violation{active, exampleViolation()}, Active: 1},
		Profiles: []ProfileRow{
			{"DataExfiltrationCheck", "Alerts on a possible data exfiltration attempt on devices", 1, []string{"all/things"}, 1},
			{"HostServices", "", 2, nil, 0},
		},
		Reports: exampleReports(),
	}
}

func exampleReports() []ReportRow {
	return []ReportRow{
		{exampleTo.Add(-2 * time.Minute), "sensor-07", "1795330680", "json", 1834, ""},
		{exampleTo.Add(-3 * time.Minute), "sensor-01", "1795330620", "cbor", 912, ""},
		{exampleTo.Add(-3 * time.Minute), "gateway-berlin", "1795330610", "json", 40, "InvalidPayload: metrics are missing"},
	}
}

func exampleThing() ThingPage {
	about, page := exampleAbout(), examplePage()
	about.Live = true
	return ThingPage{
		About: about, Thing: exampleOverview().Things[0], Violations: exampleOverview().Violations,
		Plots: append([]Plot{*page.Plot}, page.Context...), Sets: page.Sets, Reports: exampleReports()[:1],
	}
}

func exampleProfile() ProfilePage {
	about := exampleAbout()
	about.Live = true
	return ProfilePage{
		About: about, Profile: exampleOverview().Profiles[0], Version: 3,
		Behaviors: []BehaviorRow{
			{"PacketExfiltration", "aws:all-packets-out", "at most p99.99 of all things' packets out in 5 minutes", "", 1},
			{"OutboundMl", "aws:all-bytes-out", "what machine learning takes for normal", "machine learning is not evaluated", 0},
		},
		Violations: exampleOverview().Violations,
		Document:   "{\n  \"securityProfileName\": \"DataExfiltrationCheck\",\n  \"behaviors\": [\n    {\"name\": \"PacketExfiltration\"}\n  ]\n}",
	}
}

// exampleLogin is a login that failed, of somebody who wanted to see a thing.
func exampleLogin() Login {
	about := exampleAbout()
	about.Forms = true
	return Login{About: about, To: ThingLink("sensor-07"), Problem: "The access key or its secret is wrong.", OpenID: "id.example.com"}
}

func exampleAudit() AuditPage {
	about := exampleAbout()
	about.Live, about.Forms, about.Visitor = true, true, &Visitor{"ana@example.com", "admin"}
	return AuditPage{About: about, User: "ben", More: true, Events: []AuditEvent{
		{exampleTo, "ben", "DDAKABCDEFGHIJKLMNOP", "192.0.2.7", "CreateThing", "/things/sensor-08", `{"attributePayload":{"attributes":{"site":"berlin"}}}`, 200, "", 0},
		{exampleTo.Add(-time.Minute), "", "<b>DDAK", "2001:db8::1", "Login", "/login", "", 403, "InvalidCredentials", 120},
	}}
}
