package web

import (
	"strings"
	"testing"
	"time"
)

func TestPeriods(t *testing.T) {
	for interval, want := range map[time.Duration]string{
		5 * time.Minute:     "1h 6h 24h* 7d 14d",
		5 * time.Second:     "15m* 1h 6h",
		time.Second:         "15m* 1h",
		0:                   "15m* 1h",
		time.Hour:           "24h 7d* 14d",
		30 * 24 * time.Hour: "14d*",
	} {
		offered, usual := periodsOf(interval)
		var keys []string
		for i, p := range offered {
			if i == usual {
				p.key += "*"
			}
			keys = append(keys, p.key)
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("reports every %v: %s, want %s", interval, got, want)
		}
	}
}
