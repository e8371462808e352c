package render

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		value       float64
		unit        string
		short, long string
	}{
		{0, "packets", "0", "0 packets"},
		{5412, "packets", "5.41k", "5,412 packets"},
		{48210, "packets", "48.2k", "48,210 packets"},
		{999, "", "999", "999"},
		{999.9, "", "1k", "999.9"},
		{1000000, "packets", "1M", "1,000,000 packets"},
		{-12345, "", "-12.3k", "-12,345"},
		{0.25, "", "0.25", "0.25"},
		{21.5, "degrees", "21.5", "21.5 degrees"},
		{999, "bytes", "999 B", "999 bytes"},
		{1234567, "bytes", "1.23 MB", "1.23 MB"},
		{500000, "bytes", "500 kB", "500.00 kB"},
		{2.5e9, "bytes", "2.5 GB", "2.50 GB"},
		{1e-9, "", "1e-09", "0"},
		{3e21, "", "3e+06P", "3e+21"},
	} {
		if got := short(test.value, test.unit); got != test.short {
			t.Errorf("short(%v, %q) = %q, want %q", test.value, test.unit, got, test.short)
		}
		if got := long(test.value, test.unit); got != test.long {
			t.Errorf("long(%v, %q) = %q, want %q", test.value, test.unit, got, test.long)
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                "less than a second",
		time.Second:                      "1 second",
		20 * time.Minute:                 "20 minutes",
		2*time.Hour + 5*time.Minute:      "2 hours 5 minutes",
		2*time.Hour + 5*time.Second:      "2 hours",
		75*time.Hour + time.Minute:       "3 days 3 hours",
		30*24*time.Hour + 59*time.Minute: "30 days",
		time.Minute + 30*time.Second:     "1 minute 30 seconds",
		time.Hour + 59*time.Minute + 59*time.Second: "1 hour 59 minutes",
	} {
		if got := lasting(d); got != want {
			t.Errorf("lasting(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestPeriods(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 22, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		zone     *time.Location
		from, to time.Time
		want     string
	}{
		{nil, at, at.Add(20 * time.Minute), "22 Nov 2026, 22:30 to 22:50 UTC"},
		{nil, at, at.Add(2 * time.Hour), "22 Nov 2026, 22:30 to 23 Nov 2026, 00:30 UTC"},
		{berlin, at, at.Add(20 * time.Minute), "22 Nov 2026, 23:30 to 23:50 CET"},
		{nil, at, at, "22 Nov 2026, 22:30 UTC"},
	} {
		if got := (About{Zone: test.zone}).clock().period(test.from, test.to); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestWhen(t *testing.T) {
	now := alarmFrom.Add(90 * time.Minute)
	for want, v := range map[string]Violation{
		"for 20 minutes, 22 Nov 2026, 12:35 to 12:55 UTC":      {Started: alarmFrom, Ended: alarmTo},
		"since 2026-11-22 12:35:00 UTC, for 1 hour 30 minutes": {Started: alarmFrom},
		"until 2026-11-22 12:55:00 UTC":                        {Ended: alarmTo},
		"":                                                     {},
	} {
		if got := v.when(clock{time.UTC}, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
