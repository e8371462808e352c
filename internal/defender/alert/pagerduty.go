package alert

import "time"

// pagerDutyURL is that of the Events API v2. Accounts in the EU have another.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp"`
	Component string            `json:"component"`
	Group     string            `json:"group"`
	Class     string            `json:"class"`
	Details   map[string]string `json:"custom_details"`
}

// pagerDutyMessage is an event of PagerDuty's Events API v2: an alarm triggers an
// alert, and the end of the violation resolves it.
func pagerDutyMessage(c *Channel, list []*Alert) (any, error) {
	a := list[0]
	event := pagerDutyEvent{RoutingKey: c.Key, Action: "resolve", DedupKey: a.ID}
	if a.ended() {
		return event, nil
	}
	details := map[string]string{}
	for _, f := range facts(list) {
		details[f.title] = f.text
	}
	event.Action, event.Client = "trigger", product
	event.Payload = &pagerDutyPayload{
		Summary: headline(list), Source: a.Thing, Severity: severities[c.Severity].pagerDuty, Timestamp: a.At().Format(time.RFC3339Nano),
		Component: a.Behavior.Name, Group: a.Profile, Class: a.Behavior.Metric, Details: details,
	}
	return event, nil
}
