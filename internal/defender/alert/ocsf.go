package alert

import (
	"github.com/device-defender/device-defender/internal/buildinfo"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework that a
// Finding is of.
const ocsfVersion = "1.3.0"

// Finding is an OCSF Detection Finding (class 2004). Times are in milliseconds.
type Finding struct {
	ActivityID   int            `json:"activity_id"`
	ActivityName string         `json:"activity_name"`
	CategoryUID  int            `json:"category_uid"`
	CategoryName string         `json:"category_name"`
	ClassUID     int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	TypeUID      int            `json:"type_uid"`
	Time         int64          `json:"time"`
	Message      string         `json:"message"`
	SeverityID   int            `json:"severity_id"`
	Severity     string         `json:"severity"`
	StatusID     int            `json:"status_id"`
	Status       string         `json:"status"`
	Metadata     ocsfMetadata   `json:"metadata"`
	Info         ocsfInfo       `json:"finding_info"`
	Resources    []ocsfResource `json:"resources"`
	Evidences    []ocsfEvidence `json:"evidences,omitempty"`
}

type ocsfMetadata struct {
	Version string      `json:"version"`
	Product ocsfProduct `json:"product"`
	Labels  []string    `json:"labels,omitempty"`
	Code    string      `json:"event_code"`
}

type ocsfProduct struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version"`
}

type ocsfInfo struct {
	UID      string       `json:"uid"`
	Title    string       `json:"title"`
	Desc     string       `json:"desc,omitempty"`
	Types    []string     `json:"types"`
	Analytic ocsfAnalytic `json:"analytic"`
}

type ocsfAnalytic struct {
	UID      string `json:"uid"`
	Name     string `json:"name"`
	Category string `json:"category"`
	TypeID   int    `json:"type_id"`
	Type     string `json:"type"`
}

type ocsfResource struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	Type string `json:"type"`
}

type ocsfEvidence struct {
	Data ocsfData `json:"data"`
}

type ocsfData struct {
	Metric string         `json:"metric"`
	Value  *profile.Value `json:"value"`
}

// OCSF returns the alert as a finding. An alarm creates it, and the end of the
// violation closes it; both have the violation's id.
func (a *Alert) OCSF(severity string) *Finding {
	const class = 2004
	s := severities[severity]
	list := []*Alert{a}
	f := &Finding{
		ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: class, ClassName: "Detection Finding",
		Time: a.Time, Message: headline(list), SeverityID: s.ocsf, Severity: s.ocsfName, StatusID: 1, Status: "New",
		Metadata: ocsfMetadata{Version: ocsfVersion, Code: a.Type, Product: ocsfProduct{product, "device-defender", buildinfo.Version()}},
		Info: ocsfInfo{
			UID: a.ID, Title: plain(a.Behavior.Name, 300), Desc: plain(a.desc(), 1000), Types: []string{"Anomaly"},
			Analytic: ocsfAnalytic{UID: a.Profile + "/" + a.Behavior.Name, Name: a.Behavior.Name, Category: a.Profile, TypeID: 1, Type: "Rule"},
		},
		Resources: []ocsfResource{{a.Thing, a.Thing, "IoT thing"}},
	}
	if c := a.Behavior.Criteria; c != nil && c.StatisticalThreshold != nil {
		f.Info.Analytic.TypeID, f.Info.Analytic.Type = 3, "Statistical"
	} else if c != nil && c.MLDetectionConfig != nil {
		f.Info.Analytic.TypeID, f.Info.Analytic.Type = 4, "Learning (ML/DL)"
	}
	if a.ended() {
		f.ActivityID, f.ActivityName, f.StatusID, f.Status = 3, "Close", 4, "Resolved"
	}
	f.TypeUID = class*100 + f.ActivityID
	if a.Value != nil {
		f.Evidences = []ocsfEvidence{{ocsfData{a.Behavior.Metric, a.Value}}}
	}
	if a.Test {
		f.Metadata.Labels = []string{"test"}
	}
	return f
}

// desc says what is normal, and what was seen.
func (a *Alert) desc() string {
	text := "Normal: " + a.normal()
	if seen := a.seen(); seen != "" {
		text += ". Seen: " + seen
	}
	return text
}

func ocsfMessage(c *Channel, list []*Alert) (any, error) { return list[0].OCSF(c.Severity), nil }
