package alert

import (
	"fmt"
	"strings"
)

// slackText is a text object of Slack's Block Kit. Plain text is not parsed: no name
// can notify a channel.
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type string     `json:"type"`
	Text *slackText `json:"text"`
}

// slackMessage is the body for an incoming webhook of Slack.
func slackMessage(_ *Channel, list []*Alert) (any, error) {
	var lines strings.Builder
	for _, f := range facts(list) {
		fmt.Fprintf(&lines, "%s: %s\n", f.title, f.text)
	}
	title := headline(list)
	return struct {
		// Text is shown in notifications; it is parsed.
		Text   string       `json:"text"`
		Blocks []slackBlock `json:"blocks"`
	}{
		Text: strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(title),
		Blocks: []slackBlock{
			{"header", &slackText{"plain_text", plain(title, 150)}}, // Slack's most
			{"section", &slackText{"plain_text", cut(lines.String(), 3000)}},
		},
	}, nil
}

// cut cuts lines that are plain to a number of characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return strings.TrimSuffix(text, "\n")
}
