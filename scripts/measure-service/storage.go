//go:build linux

package main

import (
	"errors"
	"fmt"
)

const reportsPerDay = 288

// storage measures the space of as many reports as a day has. They come in a
// few seconds, so that an engine that keeps hours together has one hour: the
// part "day" has the hours of a day.
func storage(path, dir string, add func(row, format string, value float64)) error {
	p, err := start(path, dir)
	if err != nil {
		return err
	}
	fill := func() error {
		if err := errors.Join(p.attach("Fleet", fleetProfile()), p.register(*dayThings)); err != nil {
			return err
		}
		s, err := newSwarm(p.dial, *clients, 0, *dayThings, newPayloads(5, false))
		if err != nil {
			return err
		}
		defer s.close()
		return s.round(reportsPerDay)
	}
	if err := errors.Join(fill(), p.stop()); err != nil {
		return err
	}
	// An engine may turn its log into tables when it is opened again.
	if p, err = start(path, dir); err != nil {
		return err
	}
	_, err = p.settled()
	if err := errors.Join(err, p.stop()); err != nil {
		return err
	}
	size, err := diskSize(dir)
	add(fmt.Sprintf("KB on the disk per thing, %d reports each in a burst; %d things", reportsPerDay, *dayThings), "%.0f", float64(size)/float64(*dayThings)/1000)
	return err
}
