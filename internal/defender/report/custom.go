package report

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MetricType is the type of a custom metric, fixed when the account creates it.
type MetricType int

// The types of custom metrics.
const (
	Number MetricType = iota
	NumberList
	StringList
	IPList
)

var metricTypes = []MetricType{Number, NumberList, StringList, IPList}

// String returns the type as it stands in a report. The API spells its types in
// another way.
func (t MetricType) String() string {
	switch t {
	case Number:
		return "number"
	case NumberList:
		return "number_list"
	case StringList:
		return "string_list"
	case IPList:
		return "ip_list"
	}
	return fmt.Sprintf("metric type %d", int(t))
}

// typeKeys lists the types for an error message.
func typeKeys() string {
	var keys []string
	for _, t := range metricTypes {
		keys = append(keys, t.String())
	}
	return strings.Join(keys, ", ")
}

// CustomMetric is the value of a custom metric.
type CustomMetric struct {
	Type    MetricType
	Number  float64   // of a number
	Numbers []float64 // of a number_list
	Strings []string  // of a string_list or ip_list
}

const (
	maxMetricName = 128
	// maxDigits is the precision to which the service keeps numbers.
	maxDigits = 15
)

// CheckMetricName says whether an account can have a custom metric of that
// name. The service accepts a report with any other name, and does not keep it.
func CheckMetricName(name string) error {
	allowed := func(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune(":_-", r) }
	switch {
	case name == "" || len(name) > maxMetricName || !all(name, allowed):
		return fmt.Errorf("metric name %.64q, want 1 to %d of a-z A-Z 0-9 : _ -", name, maxMetricName)
	case strings.HasPrefix(name, "aws:"):
		return fmt.Errorf("metric name %.64q, the prefix aws: is AWS's", name)
	}
	return nil
}

// Check says whether the service keeps the value. A report with another one is
// accepted, but the value is never seen again. Its errors say where the fault is
// and not what is there: they are logged, and a value may come from a file that
// holds a secret.
//
// AWS's rule for string lists leaves out digits, while the value_1 of AWS's own
// example has one. Check allows them: a false warning about every eth0 would
// hide the true ones.
func (m CustomMetric) Check() error {
	switch m.Type {
	case Number:
		if err := checkNumber(m.Number); err != nil {
			return fmt.Errorf("%v: %w", m.Type, err)
		}
	case NumberList, StringList, IPList:
		for i := range m.Len() {
			if err := m.CheckItem(i); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%v, want one of %s", m.Type, typeKeys())
	}
	return nil
}

// Len is the number of items of a list.
func (m CustomMetric) Len() int {
	switch m.Type {
	case NumberList:
		return len(m.Numbers)
	case StringList, IPList:
		return len(m.Strings)
	}
	return 0
}

// CheckItem is [CustomMetric.Check] of one item of a list.
func (m CustomMetric) CheckItem(i int) (err error) {
	switch m.Type {
	case NumberList:
		err = checkNumber(m.Numbers[i])
	case StringList:
		err = checkString(m.Strings[i])
	case IPList:
		err = checkIP(m.Strings[i])
	}
	if err != nil {
		return fmt.Errorf("%v[%d]: %w", m.Type, i, err)
	}
	return nil
}

func checkNumber(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return errors.New("not a finite number")
	}
	mantissa, _, _ := strings.Cut(strconv.FormatFloat(math.Abs(v), 'e', -1, 64), "e")
	if digits := len(strings.Replace(mantissa, ".", "", 1)); digits > maxDigits {
		return fmt.Errorf("%d digits, want at most %d", digits, maxDigits)
	}
	return nil
}

// RoundNumber rounds to as many digits as the service keeps.
func RoundNumber(v float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', maxDigits, 64), 64)
	return rounded
}

func checkString(s string) error {
	const want = "letters, digits and . : _ - /"
	if s == "" {
		return errors.New("empty, want " + want)
	}
	bad := func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune(":_-/.", r) }
	if i := strings.IndexFunc(s, bad); i >= 0 {
		return fmt.Errorf("byte %d of %d is not allowed, want %s", i+1, len(s), want)
	}
	return nil
}

func checkIP(s string) error {
	if addr, err := netip.ParseAddr(s); err != nil || addr.Zone() != "" {
		return fmt.Errorf("%d bytes, want an IP address", len(s))
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func all(s string, allowed func(rune) bool) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !allowed(r) })
}

// Warnings lists what the service would not keep of a report that it accepts:
// a line for the id, and at most one for the name and one for the value of each
// custom metric.
func (r *Report) Warnings() []string {
	var warnings []string
	if r.ID > MaxID {
		warnings = append(warnings, fmt.Sprintf("header.report_id: %d is above %d and not exact to every reader: the report is not known again when it is delivered twice", r.ID, MaxID))
	}
	for _, name := range slices.Sorted(maps.Keys(r.CustomMetrics)) {
		place := path{{name: "custom_metrics"}, {name: name}}
		if err := CheckMetricName(name); err != nil {
			warnings = append(warnings, fmt.Sprintf("%v: %v", place, err))
		}
		place = append(place, step{list: true})
		if err := r.CustomMetrics[name].Check(); err != nil {
			warnings = append(warnings, fmt.Sprintf("%v.%v", place, err))
		}
	}
	return warnings
}
