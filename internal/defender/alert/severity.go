package alert

// product is what this is called in messages.
const product = "Device Defender for Greengrass"

// severity is what a channel says of its alerts, as PagerDuty and OCSF have it.
type severity struct {
	pagerDuty string
	ocsf      int
	ocsfName  string
}

// severities are the words of the configuration. Detect has no severities: without
// one a SIEM is told that it is not known, and PagerDuty, which wants one, that it is a
// warning.
var severities = map[string]severity{
	"":         {"warning", 0, "Unknown"},
	"low":      {"info", 2, "Low"},
	"medium":   {"warning", 3, "Medium"},
	"high":     {"error", 4, "High"},
	"critical": {"critical", 5, "Critical"},
}

// Severities are the words for them.
var Severities = []string{"low", "medium", "high", "critical"}
