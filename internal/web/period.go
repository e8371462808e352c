package web

import (
	"net/url"
	"slices"
	"time"

	"github.com/device-defender/device-defender/internal/defender/report"
	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/render"
)

// period is how far back plots go.
type period struct {
	key, title string
	length     time.Duration
}

var periods = []period{
	{"15m", "15 minutes", 15 * time.Minute},
	{"1h", "1 hour", time.Hour},
	{"6h", "6 hours", 6 * time.Hour},
	{"24h", "24 hours", 24 * time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
	{"14d", "14 days", 14 * 24 * time.Hour},
}

// How many values a thing has in a period: at least in one that is worth a
// look, at most in what is shown unless asked for, and what a page can bear.
const (
	fewestValues = 12
	usualValues  = 300
	mostValues   = 4500
)

// intervalOf is the time between the latest reports of a thing, as it is most
// often; the service's least when they are not known.
func intervalOf(s *service.Service, thing string) time.Duration {
	var times []time.Time
	for _, taken := range s.Reports(thing, 2*fewestValues) {
		if taken.Reply.Status == report.Accepted {
			times = append(times, taken.Time)
		}
	}
	if len(times) < 2 {
		return s.ReportInterval()
	}
	distances := make([]time.Duration, len(times)-1)
	for i := range distances {
		distances[i] = times[i].Sub(times[i+1])
	}
	slices.Sort(distances)
	return distances[len(distances)/2]
}

// periodsOf returns the periods that make sense with an interval of reports,
// and which of them is the usual one.
func periodsOf(interval time.Duration) (offered []period, usual int) {
	interval = max(interval, time.Second)
	for i, p := range periods {
		values := p.length / interval
		if values > mostValues {
			break
		}
		if values < fewestValues && i < len(periods)-1 {
			continue
		}
		if values <= usualValues {
			usual = len(offered)
		}
		offered = append(offered, p)
	}
	return offered, usual
}

// period returns the period that a page of a thing shows, and links to the others. A
// period that is not offered is the usual one.
func (r *request) period(thing string) (from time.Time, choices []render.Choice) {
	offered, chosen := periodsOf(intervalOf(r.service, thing))
	for i, p := range offered {
		if p.key == r.query("period") {
			chosen = i
		}
	}
	for i, p := range offered {
		query := r.URL.Query()
		query.Set("period", p.key)
		link := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
		choices = append(choices, render.Choice{Text: p.title, Link: link.String(), Chosen: i == chosen})
	}
	return r.now.Add(-offered[chosen].length), choices
}
