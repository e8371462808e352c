package alert

// teamsRun is a TextRun of an Adaptive Card, which unlike a TextBlock knows no
// Markdown: no name can be a link.
type teamsRun struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Color  string `json:"color,omitempty"`
}

type teamsLine struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsCard struct {
	Schema  string      `json:"$schema"`
	Type    string      `json:"type"`
	Version string      `json:"version"`
	Body    []teamsLine `json:"body"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

// teamsMessage is the body for a workflow of Microsoft Teams that posts what a webhook
// gets: an Adaptive Card.
func teamsMessage(_ *Channel, list []*Alert) (any, error) {
	color := "attention"
	if list[0].ended() {
		color = "good"
	}
	body := []teamsLine{{"RichTextBlock", []teamsRun{{Type: "TextRun", Text: headline(list), Weight: "bolder", Size: "medium", Color: color}}}}
	for _, f := range facts(list) {
		body = append(body, teamsLine{"RichTextBlock", []teamsRun{{Type: "TextRun", Text: f.title + ": ", Weight: "bolder"}, {Type: "TextRun", Text: f.text}}})
	}
	return struct {
		Type        string            `json:"type"`
		Attachments []teamsAttachment `json:"attachments"`
	}{"message", []teamsAttachment{{
		"application/vnd.microsoft.card.adaptive",
		teamsCard{"http://adaptivecards.io/schemas/adaptive-card.json", "AdaptiveCard", "1.4", body},
	}}}, nil
}
