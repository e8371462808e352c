package alert

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Test sends an alert to the channel that says it is a test, and the end of its
// violation if the channel has something open until then. The answer is what the
// receiver said last.
func (s *Sender) Test(ctx context.Context, channel string, now time.Time) (answer string, err error) {
	c := s.channels[channel]
	if c == nil {
		return "", fmt.Errorf("there is no channel %s", channel)
	}
	types := []string{finding.InAlarm}
	if c.Type == PagerDuty {
		types = append(types, finding.AlarmCleared)
	}
	a := testAlert(channel, now)
	for _, a.Type = range types {
		message, err := json.Marshal(a)
		if err != nil {
			return "", err
		}
		if answer, err = s.sendTo(ctx, c, []outbox.Alert{{Time: now, Violation: a.ID, Message: message}}); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// testAlert looks like a real one, and says in each name that it is none.
func testAlert(channel string, now time.Time) *Alert {
	return &Alert{
		Time: now.UnixMilli(), Thing: "test-thing", Profile: "TestOfChannel-" + channel, ID: "test-" + rand.Text(), Test: true,
		Behavior: &profile.Behavior{
			Name: "TestBehavior", Metric: "aws:num-listening-tcp-ports",
			Criteria: &profile.Criteria{ComparisonOperator: profile.LessThanEquals, Value: &profile.Value{Count: new(int64(5))}, DurationSeconds: new(int32(300))},
		},
		Value: &profile.Value{Count: new(int64(6))},
	}
}
