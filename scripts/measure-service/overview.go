//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// overview measures the page at / with many violations in alarm, and the reports
// that the service takes beside it.
func overview(path, dir string, add func(row, format string, value float64)) (err error) {
	p, err := start(path, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.attach("Alarms", alarmProfile()); err != nil {
		return err
	}
	n := *violations / alarmBehaviors
	alarming, err := newSwarm(p.dial, *clients, 0, n, newPayloads(5, true))
	if err != nil {
		return err
	}
	err = alarming.round(1)
	alarming.close()
	if err != nil {
		return err
	}
	active, err := p.active()
	if err != nil {
		return err
	}
	if active != n*alarmBehaviors {
		return fmt.Errorf("%d violations are in alarm, want %d", active, n*alarmBehaviors)
	}
	title := func(what string) string { return fmt.Sprintf("%s; %d violations in alarm", what, active) }

	const others = 200 // things that report meanwhile, one by each client
	s, err := newSwarm(p.dial, others, n, others, newPayloads(5, false))
	if err != nil {
		return err
	}
	defer s.close()
	var without, beside latencies
	began := time.Now()
	if err := s.during(*seconds, &without); err != nil {
		return err
	}
	withoutRate := float64(without.count()) / time.Since(began).Seconds()
	if _, err := p.settled(); err != nil {
		return err
	}

	quiet, size, err := p.page()
	if err != nil {
		return err
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	began = time.Now()
	go func() { done <- s.until(stop, &beside) }()
	var pages []float64
	for err == nil && (len(pages) == 0 || time.Since(began) < *seconds) {
		var took time.Duration
		took, _, err = p.page()
		pages = append(pages, took.Seconds())
	}
	// The answers that are on the way when the pages end count too.
	took := time.Since(began)
	close(stop)
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	peak, err := memory(p.cmd.Process.Pid, "VmHWM:")
	add(title("overview page, s, nothing else to do"), "%.3f", quiet.Seconds())
	add(title("overview page, s, one after the other beside reports"), "%.3f", middle(pages))
	add(title("overview page, KB"), "%.0f", float64(size)/1000)
	add(title("largest resident memory, MB"), "%.0f", peak)
	add(title(fmt.Sprintf("reports/s without the page, %d clients", others)), "%.0f", withoutRate)
	add(title(fmt.Sprintf("reports/s beside the page, %d clients", others)), "%.0f", float64(beside.count())/took.Seconds())
	add(title("latency p99 of reports beside the page, ms"), "%.1f", beside.quantile(0.99))
	return err
}

// page gets the overview.
func (p *process) page() (took time.Duration, size int, err error) {
	began := time.Now()
	text, err := p.get("/")
	return time.Since(began), len(text), err
}

// active counts the violations in alarm, page by page.
func (p *process) active() (n int, err error) {
	path := "/active-violations?maxResults=250"
	for {
		var answer struct {
			ActiveViolations []struct{} `json:"activeViolations"`
			NextToken        string     `json:"nextToken"`
		}
		if err := p.call("GET", path, nil, &answer); err != nil {
			return n, err
		}
		n += len(answer.ActiveViolations)
		if answer.NextToken == "" {
			return n, nil
		}
		path = "/active-violations?maxResults=250&nextToken=" + url.QueryEscape(answer.NextToken)
	}
}
