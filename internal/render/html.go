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
	AuditPath     = "/live/audit"     // ?user=&operation=

	LoginPath    = "/login" // ?to=, the page that was asked for
	LogoutPath   = "/logout"
	OpenIDPath   = "/login/oidc"     // ?to=
	CallbackPath = "/login/callback" // where an OpenID provider sends the browser
)

// LoginLink is the address of the login that leads to a page afterwards.
func LoginLink(to string) string { return loginAt(LoginPath, to) }

// OpenIDLink is the same for the login at an OpenID provider.
func OpenIDLink(to string) string { return loginAt(OpenIDPath, to) }

func loginAt(path, to string) string {
	if to == "" || to == OverviewPath {
		return path
	}
	return link(path, "to", to)
}

// AuditLink is the address of the audit log, of a user or an operation if one is
// given.
func AuditLink(user, operation string) string {
	query := url.Values{}
	if user != "" {
		query.Set("user", user)
	}
	if operation != "" {
		query.Set("operation", operation)
	}
	if len(query) == 0 {
		return AuditPath
	}
	return AuditPath + "?" + query.Encode()
}

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
// is fetched is the page itself and the event stream. Forms are sent to the service
// only, if there are any.
func Policy(forms bool) string { return policy(true, forms) + "; frame-ancestors 'none'" }

// policy is what a page says of itself. frame-ancestors means nothing there.
func policy(live, forms bool) string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	scripts, connect, action := hash(plotScript), "", "'none'"
	if forms {
		action = "'self'"
	}
	if live {
		scripts, connect = scripts+" "+hash(liveScript), "; connect-src 'self'"
	}
	return "default-src 'none'; style-src " + hash(styleSheet) + "; script-src " + scripts + connect +
		"; img-src data:; base-uri 'none'; form-action " + action
}

// Referrer is the Referrer-Policy of pages. A form's request has to say that it is from
// a page of the service, and does not with no-referrer.
func Referrer(forms bool) string {
	if forms {
		return "same-origin"
	}
	return "no-referrer"
}

// pages are each page's template with what is common to all, parsed when first
// needed. The functions that depend on the page are bound when it is written.
var pages = sync.OnceValue(func() map[string]*template.Template {
	parsed := map[string]*template.Template{}
	for _, page := range []string{"violation", "metric", "fleet", "overview", "thing", "profile", "notice", "login", "audit"} {
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
		"auditLink":   AuditLink,
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
		Referrer, Logout      string
		Style                 template.CSS
		Script, LiveScript    template.JS
		Data                  any
	}{about, title, policy(about.Live, about.Forms), EventsPath, Referrer(about.Forms), LogoutPath, template.CSS(styleSheet), template.JS(plotScript), template.JS(liveScript), data}
	var b bytes.Buffer
	if err := t.Funcs(functions(about)).Execute(&b, view); err != nil {
		return fmt.Errorf("writing the %s page: %w", page, err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
