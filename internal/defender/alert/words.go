package alert

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// eventWords say what each type of event means, of one thing and of several.
var eventWords = map[string][2]string{
	finding.InAlarm:          {"is in alarm", "are in alarm"},
	finding.AlarmCleared:     {"is normal again", "are normal again"},
	finding.AlarmInvalidated: {"has not reported for so long that its alarm is no longer valid", "have not reported for so long that their alarms are no longer valid"},
}

// Words says what an event means, as "is in alarm".
func Words(eventType string) string { return wordsOf(eventType, 1) }

func wordsOf(eventType string, things int) string {
	words, ok := eventWords[eventType]
	switch {
	case !ok && things > 1:
		return "sent events of type " + eventType
	case !ok:
		return "sent an event of type " + eventType
	case things > 1:
		return words[1]
	}
	return words[0]
}

// mostNamed is how many things of a group a message names.
const mostNamed = 10

// headline says what happened in one line. The alerts are of one group.
func headline(list []*Alert) string {
	first, things := list[0], thingsOf(list)
	who := first.Thing
	if len(things) > 1 {
		who = profile.GroupDigits(fmt.Sprint(len(things))) + " things"
	}
	text := who + " " + wordsOf(first.Type, len(things)) + ": " + first.Behavior.Name
	if first.Test {
		text = "Test: " + text
	}
	return plain(text, 300)
}

// thingsOf lists the things, each once: one can have had two violations meanwhile.
func thingsOf(list []*Alert) (things []string) {
	seen := map[string]bool{}
	for _, a := range list {
		if !seen[a.Thing] {
			seen[a.Thing] = true
			things = append(things, a.Thing)
		}
	}
	return things
}

// fact is a line of a message.
type fact struct{ title, text string }

// facts are what a message says below its headline.
func facts(list []*Alert) []fact {
	first, things := list[0], thingsOf(list)
	all := []fact{{"Normal", first.normal()}}
	if len(things) == 1 {
		all = append(all, fact{"Seen", first.seen()})
	} else {
		text := strings.Join(things[:min(len(things), mostNamed)], ", ")
		if more := len(things) - mostNamed; more > 0 {
			text += fmt.Sprintf(" and %s more", profile.GroupDigits(fmt.Sprint(more)))
		}
		all = append(all, fact{"Things", text})
	}
	all = append(all, fact{"Profile", first.Profile}, fact{"Time", first.At().Format("2006-01-02 15:04:05 UTC")})
	if len(list) == 1 {
		all = append(all, fact{"Violation", first.ID})
	}
	kept := all[:0]
	for _, f := range all {
		if f.text = plain(f.text, 1000); f.text != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

// normal is what the behavior holds for normal, in words.
func (a *Alert) normal() string {
	if a.Behavior.Metric == "" {
		return ""
	}
	return profile.Expectation(*a.Behavior, profile.KnownMetric(a.Behavior.Metric))
}

// seen is the value in words.
func (a *Alert) seen() string {
	if a.Value == nil {
		return ""
	}
	return profile.ValueText(*a.Behavior, *a.Value, profile.KnownMetric(a.Behavior.Metric))
}

// plain replaces characters that hide text or turn the direction of writing, and cuts
// it to the maximum number of characters.
func plain(text string, most int) string {
	runes := []rune(strings.ToValidUTF8(text, "�"))
	for i, r := range runes {
		if r != ' ' && (!unicode.IsGraphic(r) || unicode.IsSpace(r)) {
			runes[i] = '�'
		}
	}
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	return string(runes)
}

// ended reports whether the violation is over.
func (a *Alert) ended() bool { return a.Type != finding.InAlarm }
