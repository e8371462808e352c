package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/report"
)

// Source is where the value of a custom metric comes from: a built-in source
// by its name, or a file.
type Source struct {
	// Builtin is one of [Builtins], or "".
	Builtin string
	// File is read at each sample if Builtin is "". A relative path starts at
	// the component's work folder.
	File string
	// Type is the metric's type; a built-in source has its own.
	Type report.MetricType
}

// errNoBaseline leaves a metric out without a problem: the next sample has it.
var errNoBaseline = errors.New("needs a baseline")

// builtin reads one built-in source.
type builtin struct {
	metricType report.MetricType
	read       func(*collector) (report.CustomMetric, error)
}

var builtins = map[string]builtin{
	"cpu_usage":           {report.Number, (*collector).cpuUsage},
	"memory_usage":        {report.Number, (*collector).memoryUsage},
	"memory_available":    {report.Number, (*collector).memoryAvailable},
	"load":                {report.NumberList, (*collector).load},
	"uptime":              {report.Number, (*collector).uptime},
	"process_count":       {report.Number, (*collector).processCount},
	"open_files":          {report.Number, (*collector).openFiles},
	"interface_names":     {report.StringList, (*collector).interfaceNames},
	"interface_addresses": {report.IPList, (*collector).interfaceAddresses},
}

// Builtins returns the names of the built-in sources, sorted.
func Builtins() []string { return slices.Sorted(maps.Keys(builtins)) }

// Builtin returns the built-in source of that name.
func Builtin(name string) (Source, bool) {
	b, ok := builtins[name]
	return Source{Builtin: name, Type: b.metricType}, ok
}

// custom reads the custom metrics in the order of their names.
func (c *collector) custom() {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	files := c.scope.Files.startReads(ctx, c.scope.Custom)
	for _, name := range slices.Sorted(maps.Keys(c.scope.Custom)) {
		metric, err := c.read(c.scope.Custom[name], files)
		if errors.Is(err, errNoBaseline) {
			continue
		}
		if err == nil {
			err = report.CheckMetricName(name)
		}
		if err == nil {
			metric, err = c.dropBadItems(name, metric)
		}
		if err != nil {
			c.missing("custom metric "+name, err)
			continue
		}
		if c.sample.Custom == nil {
			c.sample.Custom = make(map[string]report.CustomMetric)
		}
		c.sample.Custom[name] = metric
	}
}

func (c *collector) read(s Source, files *fileReads) (report.CustomMetric, error) {
	if b, ok := builtins[s.Builtin]; ok {
		return b.read(c)
	}
	return files.metric(s)
}

// maxItem bounds a string of a list, in bytes: one value must not take the room
// of the rest of the report.
const maxItem = 256

// dropBadItems rounds numbers to what the service keeps, leaves out the items
// of a list that it would not keep, so that one of them does not cost the
// others, and caps the list.
func (c *collector) dropBadItems(name string, m report.CustomMetric) (report.CustomMetric, error) {
	m.Number = report.RoundNumber(m.Number)
	for i, v := range m.Numbers {
		m.Numbers[i] = report.RoundNumber(v)
	}
	n, dropped := m.Len(), 0
	var fault error // the first
	kept := report.CustomMetric{Type: m.Type, Number: m.Number, Numbers: m.Numbers[:0], Strings: m.Strings[:0]}
	for i := range n {
		err := m.CheckItem(i)
		if m.Strings != nil && len(m.Strings[i]) > maxItem {
			err = fmt.Errorf("%v[%d]: %d bytes, at most %d are sent", m.Type, i, len(m.Strings[i]), maxItem)
		}
		switch {
		case err != nil:
			dropped++
			fault = cmp.Or(fault, err)
		case m.Type == report.NumberList:
			kept.Numbers = append(kept.Numbers, m.Numbers[i])
		default:
			kept.Strings = append(kept.Strings, m.Strings[i])
		}
	}
	if dropped > 0 && dropped == n {
		return m, fmt.Errorf("all %d values: %w", n, fault) // an empty list would say that there are none
	}
	if dropped > 0 {
		c.missing("custom metric "+name, fmt.Errorf("%d of %d values: %w", dropped, n, fault))
	}
	whole := kept.Len()
	kept.Numbers = kept.Numbers[:min(len(kept.Numbers), c.scope.MaxListItems)]
	kept.Strings = kept.Strings[:min(len(kept.Strings), c.scope.MaxListItems)]
	c.sample.Cut.CustomListItems += whole - kept.Len()
	return kept, kept.Check()
}

func number(v float64, err error) (report.CustomMetric, error) {
	return report.CustomMetric{Type: report.Number, Number: v}, err
}

// round keeps what a figure is worth: the service takes at most 15 digits.
func round(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}

// cpuUsage is psutil's cpu_percent with one decimal, the cpu_usage of AWS's
// component, but never that of the time before the first baseline.
func (c *collector) cpuUsage() (report.CustomMetric, error) {
	now := c.sample.Baseline.CPU
	if c.cpuErr != nil {
		return report.CustomMetric{}, c.cpuErr
	}
	if c.since == nil || tooOld(c.since.CPUAge+c.age, c.scope.MaxBaselineAge) {
		return report.CustomMetric{}, errNoBaseline
	}
	busy, ok := now.BusySince(c.since.CPU)
	if !ok {
		return report.CustomMetric{}, errNoBaseline
	}
	return number(round(100*busy, 1), nil)
}

func (c *collector) memoryUsage() (report.CustomMetric, error) {
	m, err := c.host.Memory()
	if err != nil {
		return report.CustomMetric{}, err
	}
	if m.Total == 0 {
		return report.CustomMetric{}, errors.New("meminfo: MemTotal is 0")
	}
	used := float64(m.Total-min(m.Available, m.Total)) / float64(m.Total)
	return number(round(100*used, 1), nil)
}

func (c *collector) memoryAvailable() (report.CustomMetric, error) {
	m, err := c.host.Memory()
	return number(float64(m.Available), err)
}

func (c *collector) load() (report.CustomMetric, error) {
	load1, load5, load15, err := c.host.Load()
	return report.CustomMetric{Type: report.NumberList, Numbers: []float64{load1, load5, load15}}, err
}

func (c *collector) uptime() (report.CustomMetric, error) {
	uptime, err := c.host.Uptime()
	return number(math.Floor(uptime.Seconds()), err)
}

func (c *collector) processCount() (report.CustomMetric, error) {
	n, err := c.host.Processes()
	return number(float64(n), err)
}

func (c *collector) openFiles() (report.CustomMetric, error) {
	n, err := c.host.OpenFiles()
	return number(float64(n), err)
}

func (c *collector) interfaceNames() (report.CustomMetric, error) {
	counters, err := c.host.Counters()
	names := slices.Sorted(maps.Keys(counters))
	names = slices.DeleteFunc(names, func(n string) bool { return !c.scope.selects(n) })
	return report.CustomMetric{Type: report.StringList, Strings: names}, err
}

func (c *collector) interfaceAddresses() (report.CustomMetric, error) {
	if c.ownErr != nil {
		return report.CustomMetric{}, c.ownErr
	}
	var list []string
	for _, a := range c.scope.own {
		if c.scope.covers(a) {
			list = append(list, a.String())
		}
	}
	return report.CustomMetric{Type: report.IPList, Strings: list}, nil
}

// parseIPs normalises the addresses that parse; Check refuses the others.
func parseIPs(words []string) []string {
	for i, w := range words {
		if a, err := netip.ParseAddr(strings.Trim(w, "[]")); err == nil {
			words[i] = a.Unmap().String()
		}
	}
	return words
}
