package web

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/cloud"
	"github.com/device-defender/device-defender/internal/defender/servicetest"
	"github.com/device-defender/device-defender/internal/render"
)

// get reads a page, and leaves out its style and scripts.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	page, _, _ := strings.Cut(string(body), "<script>")
	_, page, _ = strings.Cut(page, "</style>")
	return answer, page
}

// violations are the ids of the world's violations, by thing.
func violations(t testing.TB, w *servicetest.World) map[string]string {
	t.Helper()
	client, err := cloud.Connect(t.Context(), cloud.Options{EndpointURL: w.URL})
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.Violations(t.Context(), cloud.ViolationFilter{}, w.At(0), w.Now())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, v := range list {
		ids[v.Thing] = v.ID
	}
	return ids
}

func TestPages(t *testing.T) {
	w := story(t)
	id := violations(t, w)["gateway-2"]
	for path, want := range map[string][]string{
		render.OverviewPath: {
			"1 violation in alarm", ">gateway-1<", ">gateway-2<", ">silent-1<", ">DataExfiltrationCheck<", "all/things",
			`href="/live/thing?name=gateway-1"`, `href="/live/violation?id=` + id + `"`, "InvalidPayload", "not registered",
		},
		render.ThingLink("gateway-2"): {
			"<bdi>gateway-2</bdi>", "Packets out", `href="/live/metric?metric=aws%3Aall-packets-out&amp;thing=gateway-2"`,
			"limit of PacketExfiltration: 1,000 packets", "in alarm 22 Nov 2026, 07:05 to 07:20 UTC", `<li class="new"><bdi>203.0.113.77</bdi> <b>new</b></li>`, "Cleared",
			`aria-current="page">24 hours`, `href="/live/thing?name=gateway-2&amp;period=7d"`,
		},
		render.ThingLink("gateway-1"):                                 {`<li class="new"><bdi>203.0.113.77</bdi> <b>new</b></li>`, "1 in alarm"},
		render.ThingLink("silent-1"):                                  {"No report yet", "No values in this period"},
		render.ThingLink(hostile):                                     {"not registered", "Packets out"},
		render.MetricLink("gateway-2", "aws:all-packets-out", "", ""): {"Packets out", "highest 5,015 packets", "1,000 packets", ">5,013<"},
		render.MetricLink("gateway-2", "aws:destination-ip-addresses", "", "") + "&period=1h":   {"203.0.113.77", `aria-current="page">1 hour`},
		render.MetricLink("gateway-2", "aws:destination-ip-addresses", "", "") + "&period=eons": {`aria-current="page">24 hours`},
		render.ProfileLink("DataExfiltrationCheck"):                                             {"at most 1,000 packets", "&#34;securityProfileName&#34;", "all/things", "Cleared"},
		render.ViolationLink(id):     {"at most 1,000 packets", "5,013 packets", "New in destination IP addresses", "203.0.113.77", "Timeline"},
		render.ViolationLink(id[:8]): {id},
	} {
		answer, page := get(t, w.URL+path)
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %s, %s", path, answer.Status, answer.Header.Get("Content-Type"))
		}
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s has no %q", path, text)
			}
		}
		if strings.Contains(page, "<form") || strings.Contains(page, "<img") {
			t.Errorf("%s has a form or an image", path)
		}
		checkHeaders(t, path, answer)
	}
}

// checkHeaders wants what keeps a page from doing what it was not made for.
func checkHeaders(t *testing.T, path string, answer *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Cache-Control": "no-store",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", path, name, got, want)
		}
	}
	directives := map[string]string{}
	for part := range strings.SplitSeq(answer.Header.Get("Content-Security-Policy"), ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(part), " ")
		directives[name] = sources
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
	} {
		if directives[name] != want {
			t.Errorf("%s: %s is %q, want %q", path, name, directives[name], want)
		}
	}
	for _, name := range []string{"script-src", "style-src"} {
		for source := range strings.FieldsSeq(directives[name]) {
			if !strings.HasPrefix(source, "'sha256-") {
				t.Errorf("%s: %s has %s", path, name, source)
			}
		}
	}
}

// TestNoPage asks for what is not there: the answer is a page too.
func TestNoPage(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/live/":                        404,
		"/live/nosuch":                  404,
		"/live/thing":                   404,
		render.ThingLink(hostile):       404,
		render.ThingLink("..") + "&x=y": 404,
		render.ThingLink(strings.Repeat("a", 4000)):            404,
		render.ProfilePath:                                     404,
		render.ProfileLink("Other"):                            404,
		render.ProfileLink("<b>"):                              404,
		render.ProfileLink(".."):                               404,
		render.ViolationLink(""):                               404,
		render.ViolationLink("1f"):                             404,
		render.ViolationLink("<b>"):                            404,
		render.MetricPath:                                      404,
		render.MetricLink("a", "aws:nosuch", "", ""):           404,
		render.MetricLink("a", "nosuch", "", ""):               404,
		render.MetricLink("a", "aws:all-bytes-out", "", ""):    404,
		render.MetricLink("a", "aws:all-bytes-out", "d", "IN"): 404,
	} {
		answer, page := get(t, w.URL+path)
		if answer.StatusCode != want || !strings.Contains(page, "<h1>") || strings.Contains(page, "<img") || strings.Contains(page, "<b>") {
			t.Errorf("%s: %s, want %d\n%s", path, answer.Status, want, page)
		}
		checkHeaders(t, path, answer)
	}
}

// TestGuard comes as pages of other sites would.
func TestGuard(t *testing.T) {
	w := newWorld(t)
	for name, header := range map[string]http.Header{
		"another origin": {"Origin": {"https://evil.example"}},
		"another site":   {"Sec-Fetch-Site": {"cross-site"}},
	} {
		for _, path := range []string{render.OverviewPath, render.EventsPath} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %s: %s", path, name, answer.Status)
			}
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.URL+render.ThingPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, answer.Status)
		}
	}
}

// What an operator has to know is on the first page, and that a thing has
// stopped reporting on its own.
func TestNoticesAndSilence(t *testing.T) {
	w := story(t)
	client, err := cloud.Connect(t.Context(), cloud.Options{EndpointURL: w.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.IoT.CreateSecurityProfile(t.Context(), &iot.CreateSecurityProfileInput{
		SecurityProfileName: aws.String("Silence"), AdditionalMetricsToRetainV2: []types.MetricToRetain{{Metric: aws.String("aws:num-messages-sent")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, page := get(t, w.URL+render.OverviewPath)
	if !strings.Contains(page, "profile Silence: no values of aws:num-messages-sent are kept") {
		t.Error("the overview doesn't say what is without effect")
	}
	if strings.Contains(page, "silent since") {
		t.Error("a thing is silent that has just reported")
	}
	w.Pass(6 * time.Hour)
	for path, want := range map[string]string{render.OverviewPath: "silent since", render.ThingLink("gateway-1"): "Silent since then"} {
		if _, page := get(t, w.URL+path); !strings.Contains(page, want) {
			t.Errorf("%s has no %q", path, want)
		}
	}
}
