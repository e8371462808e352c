// Package alert is what is said of violations, and to whom: alerts as AWS writes
// them, the channels that they are sent to, and what each kind of channel makes of
// them. A [Sender] sends them; all else is pure.
package alert

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Alert is the text of an alert, as AWS sends it to SNS topics. Unlike in the API,
// the time is in milliseconds.
type Alert struct {
	Time     int64             `json:"violationEventTime"`
	Thing    string            `json:"thingName"`
	Behavior *profile.Behavior `json:"behavior"`
	Type     string            `json:"violationEventType"` // finding.InAlarm and others
	Value    *profile.Value    `json:"metricValue,omitempty"`
	ID       string            `json:"violationId"`
	Profile  string            `json:"securityProfileName"`
	// Test says that nothing happened; AWS has no such member.
	Test bool `json:"test,omitempty"`
}

// Decode reads an alert of an outbox.
func Decode(message []byte) (*Alert, error) {
	a := &Alert{Behavior: &profile.Behavior{}}
	if err := json.Unmarshal(message, a); err != nil {
		return nil, fmt.Errorf("reading an alert: %w", err)
	}
	if a.Behavior == nil {
		a.Behavior = &profile.Behavior{}
	}
	return a, nil
}

// At is the time of the event.
func (a *Alert) At() time.Time { return time.UnixMilli(a.Time).UTC() }
