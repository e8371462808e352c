package render

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"
)

//go:embed templates/*.html static/style.css static/plot.js static/live.js
var files embed.FS

var (
	styleSheet = asset("static/style.css")
	plotScript = asset("static/plot.js")
	liveScript = asset("static/live.js")
)

func asset(path string) string {
	data, err := files.ReadFile(path)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(data)
}

// Paths of live pages, which link to each other. What a page is about is in the
// query, for a thing may be called "..", which no path can hold.
const (
	OverviewPath  = "/"
	EventsPath    = "/live/events"    // an event stream: each message says that something changed
	ThingPath     = "/live/thing"     // ?name=
	MetricPath    = "/live/metric"    // ?thing=&metric=, and with a dimension &dimension=&operator=
	ProfilePath   = "/live/profile"   // ?name=
	ViolationPath = "/live/violation" // ?id=
)

// ThingLink is the address of a thing's live page.
func ThingLink(thing string) string { return link(ThingPath, "name", thing) }

// ProfileLink is the address of a security profile's live page.
func ProfileLink(profile string) string { return link(ProfilePath, "name", profile) }

// ViolationLink is the address of a violation's live page.
func ViolationLink(id string) string { return link(ViolationPath, "id", id) }

// MetricLink is the address of the live page of a thing's metric. Dimension and
// operator are empty unless the metric is narrowed to messages on some topics.
func MetricLink(thing, metric, dimension, operator string) string {
	query := url.Values{"thing": {thing}, "metric": {metric}}
	if dimension != "" {
		query.Set("dimension", dimension)
		query.Set("operator", operator)
	}
	return MetricPath + "?" + query.Encode()
}

func link(path, key, value string) string { return path + "?" + url.Values{key: {value}}.Encode() }

// Policy is the Content-Security-Policy of live pages, to be sent as a header.
// Pages carry their style and scripts inline, known by their hashes; all that
// is fetched is the page itself and the event stream.
func Policy() string { return policy(true) + "; frame-ancestors 'none'" }

// policy is what a page says of itself. frame-ancestors means nothing there.
func policy(live bool) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	scripts, connect := hash(plotScript), ""
	if live {
		scripts, connect = scripts+" "+hash(liveScript), "; connect-src 'self'"
	}
	return "default-src 'none'; style-src " + hash(styleSheet) + "; script-src " + scripts + connect +
		"; img-src data:; base-uri 'none'; form-action 'none'"
}

// pages are each page's template with what is common to all, parsed when first
// needed. The functions that depend on the page are bound when it is written.
var pages = sync.OnceValue(func() map[string]*template.Template {
	parsed := map[string]*template.Template{}
	for _, page := range []string{"violation", "metric", "fleet", "overview", "thing", "profile", "notice"} {
		t := template.New("base.html").Funcs(functions(About{}))
		parsed[page] = template.Must(t.ParseFS(files, "templates/base.html", "templates/parts.html", "templates/"+page+".html"))
	}
	return parsed
})

// functions are what templates call. Each that writes a text cleans it.
func functions(about About) template.FuncMap {
	c := about.clock()
	return template.FuncMap{
		"name": name, "note": note, "verdict": verdict, "stateWord": stateWord,
		"state": func(s State) string {
			switch s {
			case InAlarm, Cleared, Invalidated:
				return string(s)
			}
			return ""
		},
		"full": c.full, "minute": c.minute,
		"zone": func() string {
			if z := c.zone.String(); z != "Local" {
				return z
			}
			return about.Made.In(c.zone).Format("MST")
		},
		"machine":     func(t time.Time) string { return t.In(c.zone).Format(time.RFC3339) },
		"grouped":     func(n int) string { return grouped(float64(n)) },
		"judged":      func(v string) bool { return verdict(v) != verdict("") },
		"line":        func(i int) int { return i%4 + 1 },
		"live":        func() bool { return about.Live },
		"thingLink":   ThingLink,
		"profileLink": ProfileLink, "violationLink": ViolationLink,
		"names": func(list []string) string {
			cleaned := make([]string, len(list))
			for i, n := range list {
				cleaned[i] = name(n)
			}
			return strings.Join(cleaned, ", ")
		},
		"lines": func(text string) string {
			lines := strings.Split(text, "\n")
			for i, line := range lines {
				lines[i] = Clean(line, noteLimit)
			}
			return strings.Join(lines, "\n")
		},
	}
}

// write puts a page together. It is written at once or not at all.
func write(w io.Writer, page, title string, about About, data any) error {
	t, err := pages()[page].Clone()
	if err != nil {
		return err
	}
	view := struct {
		About                 About
		Title, Policy, Events string
		Style                 template.CSS
		Script, LiveScript    template.JS
		Data                  any
	}{about, title, policy(about.Live), EventsPath, template.CSS(styleSheet), template.JS(plotScript), template.JS(liveScript), data}
	var b bytes.Buffer
	if err := t.Funcs(functions(about)).Execute(&b, view); err != nil {
		return fmt.Errorf("writing the %s page: %w", page, err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
