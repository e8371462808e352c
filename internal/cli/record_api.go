package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/spf13/cobra"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/backtest"
	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// sliceOfValues is how much time is asked for at once: at 5 minutes between
// values, what a page has room for. What is kept of all things of a slice is
// held in memory to be written in order of time.
const sliceOfValues = 20 * time.Hour

// recordValues writes the values that are kept.
func (o *recordOptions) recordValues(cmd *cobra.Command, out io.Writer) error {
	ctx := cmd.Context()
	now := o.aws.now(ctx)
	from, to, err := o.period.period(cmd.Flags(), now)
	if err != nil {
		return err
	}
	client, err := o.aws.connect(ctx)
	if err != nil {
		return err
	}
	things := o.things
	if o.allThings {
		if things, err = registeredThings(ctx, client); err != nil {
			return err
		}
	}
	var list []profile.MetricRef
	if o.allRetained {
		if list, err = retainedMetrics(ctx, client); err != nil {
			return err
		}
	}
	for _, name := range o.metrics {
		if _, err := client.Metric(ctx, name); err != nil {
			return err
		}
		list = append(list, profile.MetricRef{Name: name})
	}
	if kept := now.Add(-finding.ValueRetention); from.Before(kept) {
		from = kept
	}
	progress := newBar(cmd)
	defer progress.end()
	parts := int64(to.Sub(from)/sliceOfValues) + 1
	total := parts * int64(len(things)) * int64(len(list))
	n, calls := 0, int64(0)
	for begin := from; !begin.After(to); begin = begin.Add(sliceOfValues) {
		end := begin.Add(sliceOfValues)
		lines, err := o.slice(ctx, client, things, list, begin, end, to, func() {
			calls++
			progress.update("recording", calls, total)
		})
		if err != nil {
			return err
		}
		for _, l := range lines {
			if _, err := out.Write(l.text); err != nil {
				return err
			}
		}
		n += len(lines)
	}
	progress.end()
	fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s recorded\n", countOf(n, "value", "values"), countOf(len(things), "thing", "things"))
	return nil
}

// timedLine is a line of a recording.
type timedLine struct {
	at   time.Time
	text []byte
}

// slice returns the values from a time on, before an end and not after the
// last, in order of time.
func (o *recordOptions) slice(ctx context.Context, client *cloud.Client, things []string, list []profile.MetricRef, begin, end, last time.Time, called func()) ([]timedLine, error) {
	var lines []timedLine
	until := end
	if last.Before(until) {
		until = last
	}
	for _, thing := range things {
		for _, r := range list {
			// Whether AWS takes the start for a part of the period is not
			// documented.
			values, err := client.MetricValues(ctx, thing, profile.Metric{Name: r.Name}, r.MetricDimension(), begin.Add(-time.Second), until)
			called()
			if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) && o.allThings {
				continue // since it was listed
			}
			if err != nil {
				return nil, err
			}
			for _, v := range values.Values {
				if v.Time.Before(begin) || !v.Time.Before(end) {
					continue
				}
				text, err := backtest.ValueLine(thing, v.Time, detect.Measurement{Metric: r, Value: v.Value, Cut: v.Cut})
				if err != nil {
					return nil, err
				}
				lines = append(lines, timedLine{v.Time, text})
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b timedLine) int { return a.at.Compare(b.at) })
	return lines, nil
}

// registeredThings returns the names of all things of the registry.
func registeredThings(ctx context.Context, client *cloud.Client) ([]string, error) {
	var names []string
	for name, err := range client.Things(ctx) {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, errors.New("there are no things in the registry; --thing names one that reports without")
	}
	slices.Sort(names)
	return names, nil
}

// retainedMetrics returns what the account's profiles use or retain.
func retainedMetrics(ctx context.Context, client *cloud.Client) ([]profile.MetricRef, error) {
	profiles, err := client.Profiles(ctx, nil)
	if err != nil {
		return nil, err
	}
	var list []profile.MetricRef
	for _, p := range profiles {
		for _, u := range p.Uses() {
			list = append(list, u.MetricRef)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no security profile uses or retains a metric: no values are kept")
	}
	slices.SortFunc(list, profile.MetricRef.Compare)
	return slices.Compact(list), nil
}
