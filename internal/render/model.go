package render

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// About is what a page says of itself.
type About struct {
	Source string         // where the data is from, as "AWS IoT us-east-1, account 123456789012"
	Made   time.Time      // when the data was read
	Zone   *time.Location // in which times are shown; nil is UTC
	Live   bool           // served by a running service: names are links, the page follows events
	// Forms says that the page may have forms: there is a login.
	Forms   bool
	Visitor *Visitor // who is logged in; nil where nobody is
	Notes   []string // what a reader must know, as "values older than 14 days are gone"
}

// Visitor is who is logged in.
type Visitor struct{ Name, Role string }

// Login is the page of the login.
type Login struct {
	About   About
	To      string // the page that was asked for
	Problem string // why the last attempt failed
	OpenID  string // the host of the OpenID provider; "" is that there is none
}

// AuditPage is the audit log, or a part of it.
type AuditPage struct {
	About           About
	User, Operation string // only entries of these; "" is all
	Events          []AuditEvent
	More            bool // there are earlier ones
}

// AuditEvent is an entry of the audit log.
type AuditEvent struct {
	Time       time.Time
	User       string // "" is somebody who is not known
	KeyID      string // of the access key that was given
	From       string
	Operation  string
	Path       string
	Parameters string
	Status     int
	Error      string
	Omitted    int // refused calls before it that were not kept
}

// Point is one datapoint.
type Point struct {
	Time  time.Time
	Value float64
}

// Series is one line of a plot.
type Series struct {
	Name   string  // needed when a plot has several
	Points []Point // in order of time
	// Step is the expected distance of points: a distance of more than one and
	// a half is a gap, in which no line is drawn. Zero takes the median distance.
	Step time.Duration
}

// Threshold is a horizontal line of a plot.
type Threshold struct {
	Label string // as "p99.99" or "limit"; the value is added to it
	Value float64
}

// Span is a period of time. A zero To means that it has not ended.
type Span struct {
	From, To time.Time
}

// Plot is one metric over time.
type Plot struct {
	Title      string // as "packets out"
	Metric     string // as "aws:all-packets-out"
	Unit       string // of one value: bytes, packets, ...; may be empty
	Series     []Series
	Thresholds []Threshold
	Alarms     []Span // periods in alarm
	From, To   time.Time
	Link       string // address of a live page of this metric; may be empty
}

// SetPoint is one reported set.
type SetPoint struct {
	Time    time.Time
	Members []string
	// Cut says how many entries the set was reported with, as "250 of 1,240";
	// empty for one that has them all.
	Cut string
}

// SetHistory is a metric whose values are sets: addresses, ports, words.
type SetHistory struct {
	Title  string     // as "destination IP addresses"
	Metric string     // as "aws:destination-ip-addresses"
	Points []SetPoint // in order of time
	// NewSince divides what was seen before from what is new. Zero: nothing is
	// called new.
	NewSince time.Time
	Link     string // as of a Plot
}

// Member is one member of a set over time.
type Member struct {
	Text        string
	First, Last time.Time // when first and last reported
	Count       int       // in how many reports
	New         bool      // first reported at NewSince or later
}

// Comparable reports whether there is a report from before NewSince: without
// one, nothing can be said to be new.
func (s SetHistory) Comparable() bool {
	return len(s.Points) > 0 && s.Points[0].Time.Before(s.NewSince)
}

// Members returns each member once: new ones first, then in the order of
// addresses, numbers or letters.
func (s SetHistory) Members() []Member {
	byText := map[string]*Member{}
	for _, p := range s.Points {
		for _, text := range p.Members {
			m := byText[text]
			if m == nil {
				m = &Member{Text: text, First: p.Time, New: s.Comparable() && !p.Time.Before(s.NewSince)}
				byText[text] = m
			}
			if m.Count == 0 || !m.Last.Equal(p.Time) {
				m.Count++
			}
			m.Last = p.Time
		}
	}
	members := make([]Member, 0, len(byText))
	for _, m := range byText {
		members = append(members, *m)
	}
	slices.SortFunc(members, func(a, b Member) int {
		if a.New != b.New {
			if a.New {
				return -1
			}
			return 1
		}
		return compareMembers(a.Text, b.Text)
	})
	return members
}

// compareMembers orders addresses and numbers by value, before other texts.
func compareMembers(a, b string) int {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	if errA == nil && errB == nil {
		return ipA.Compare(ipB)
	}
	numberA, errNA := strconv.ParseFloat(a, 64)
	numberB, errNB := strconv.ParseFloat(b, 64)
	if errNA == nil && errNB == nil {
		return cmp.Or(cmp.Compare(numberA, numberB), cmp.Compare(a, b))
	}
	rank := func(ip, number error) int {
		switch {
		case ip == nil:
			return 0
		case number == nil:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(errA, errNA), rank(errB, errNB)), cmp.Compare(a, b))
}

// State is where a violation stands. Its values are AWS's event types.
type State string

const (
	InAlarm     State = "in-alarm"
	Cleared     State = "alarm-cleared"
	Invalidated State = "alarm-invalidated"
)

// Event is one line of a violation's timeline.
type Event struct {
	Time  time.Time
	Type  State
	Value string // the value with its unit, as "5,412 packets"; empty when there is none
	Note  string // may be empty
}

// Violation is one violation, from its first event to its last.
type Violation struct {
	ID       string
	Thing    string
	Profile  string
	Behavior string
	Metric   string // as "aws:all-packets-out"
	State    State
	Expected string // what is normal, in words
	Seen     string // the value that was not, with its unit
	// Verification is AWS's word: TRUE_POSITIVE, FALSE_POSITIVE,
	// BENIGN_POSITIVE or UNKNOWN. Empty is UNKNOWN.
	Verification     string
	VerificationNote string
	Started          time.Time // zero when the beginning is older than what was read
	LastSeen         time.Time // of the last violating value; may be zero
	Ended            time.Time // zero while in alarm
	Suppressed       bool      // alerts are suppressed: no message was sent
}

// ViolationPage is everything about one violation.
type ViolationPage struct {
	About     About
	Violation Violation
	Timeline  []Event      // in order of time
	Plot      *Plot        // the behavior's metric; nil for a set or when there are no values
	Context   []Plot       // what else was measured
	Sets      []SetHistory // the behavior's own set first, if it is about one
}

// FleetReport is what happened to all things in a period. Totals are computed
// from the violations. From and To may be the same instant, for a list of what
// is in alarm then.
type FleetReport struct {
	About      About
	From, To   time.Time
	Violations []Violation
}

// MetricPage is one metric of one thing.
type MetricPage struct {
	About About
	Thing string
	Plot  *Plot       // nil for a set
	Set   *SetHistory // nil for a number
	// Periods are other periods to look at, on a live page.
	Periods []Choice
}

// Choice is a link to the same page, shown otherwise.
type Choice struct {
	Text   string
	Link   string
	Chosen bool // it is what is shown
}

// Overview is the live service's first page.
type Overview struct {
	About      About
	Notices    []string // what an operator has to know
	Things     []ThingRow
	Silent     map[string]bool // things of which reports are missing
	MoreThings int             // that there are, and are not listed
	Violations ViolationList
	Profiles   []ProfileRow
	Reports    []ReportRow // the latest, newest first
	Audit      bool        // the reader may see the audit log
}

// ViolationList is the first part of a list of violations.
type ViolationList struct {
	Rows   []Violation // those in alarm, then the latest
	Active int         // in alarm, in all
	More   bool        // there are more than the rows
}

// Unlisted is how many are in alarm and not among the rows.
func (l ViolationList) Unlisted() int {
	n := l.Active
	for _, v := range l.Rows {
		if v.State == InAlarm {
			n--
		}
	}
	return n
}

// ThingRow is a thing in a table.
type ThingRow struct {
	Name       string
	Registered bool
	Groups     []string
	LastReport time.Time // zero when none came
	Active     int       // violations in alarm
}

// ProfileRow is a security profile in a table.
type ProfileRow struct {
	Name        string
	Description string
	Behaviors   int
	Targets     []string // short names
	Active      int      // violations in alarm
}

// ReportRow is one report that a thing sent.
type ReportRow struct {
	Time   time.Time
	Thing  string
	ID     string
	Format string // json or cbor
	Bytes  int
	// Rejected is the error code and message of a rejected report; empty when
	// it was accepted.
	Rejected string
}

// ThingPage is one thing of the live service.
type ThingPage struct {
	About      About
	Thing      ThingRow
	Silent     bool // reports are missing
	Violations ViolationList
	Periods    []Choice // other periods of plots and sets
	Plots      []Plot
	Sets       []SetHistory
	Reports    []ReportRow
}

// ProfilePage is one security profile of the live service.
type ProfilePage struct {
	About      About
	Profile    ProfileRow
	Version    int64
	Behaviors  []BehaviorRow
	Violations ViolationList
	Document   string // the profile as JSON
}

// BehaviorRow is a behavior in a table.
type BehaviorRow struct {
	Name     string
	Metric   string
	Expected string // what is normal, in words
	Note     string // as "machine learning is not evaluated"; may be empty
	Active   int    // violations in alarm
}
