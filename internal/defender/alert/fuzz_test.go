package alert

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/device-defender/device-defender/internal/defender/outbox"
)

// Whatever an alert says, what is posted is JSON.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{string(ofPort("a", "in-alarm", "1").Message), statistical, `{}`, `{"behavior":null}`, `{"violationEventTime":-9223372036854775808}`, `{"behavior":{"metric":"m","criteria":{"value":{}}},"metricValue":{"strings":["\u202e\u0000"]}}`} {
		f.Add(seed, "other")
	}
	f.Fuzz(func(t *testing.T, message, event string) {
		alerts := []outbox.Alert{{Message: []byte(message)}, {Message: []byte(message)}}
		if second, err := Decode(alerts[1].Message); err == nil {
			second.Thing, second.Type = event, event
			alerts[1].Message, _ = json.Marshal(second)
		}
		for _, name := range Types() {
			c := Defaults("c", Type(name))
			for n := 1; n <= len(alerts); n++ {
				body, err := c.body(alerts[:n])
				if err == nil && kinds[c.Type].format != nil && (!json.Valid(body) || !utf8.Valid(body)) {
					t.Errorf("%s: %q", name, body)
				}
			}
		}
	})
}
