package artifacts

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// metricNames returns what /metrics has, which a test of package scrape holds to it.
func metricNames(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{"up": "gauge"}
	for line := range strings.Lines(read(t, "../internal/scrape/testdata/names.txt")) {
		fields := strings.Fields(line)
		names[fields[0]] = fields[1]
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_memstats_heap_inuse_bytes"} {
		names[name] = "of the library"
	}
	return names
}

var metricName = regexp.MustCompile(`\b(?:(?:device_defender|process|go)_\w+|up)\b`)

// checkMetrics holds the metrics of an expression to those that there are.
func checkMetrics(t *testing.T, where, expression string, names map[string]string) {
	t.Helper()
	// Labels and their values are not names of metrics.
	bare := regexp.MustCompile(`\{[^}]*\}|"[^"]*"`).ReplaceAllString(expression, "")
	found := metricName.FindAllString(bare, -1)
	if len(found) == 0 {
		t.Errorf("%s has no metric: %s", where, expression)
	}
	for _, name := range found {
		if family, bucket := strings.CutSuffix(name, "_bucket"); bucket && names[family] == "histogram" {
			continue
		}
		if names[name] == "" {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		if counts := names[name] == "counter"; counts != strings.HasSuffix(name, "_total") && names[name] != "of the library" {
			t.Errorf("%s: metric %s is a %s", where, name, names[name])
		}
	}
}

// Rules have what people need at night, and metrics that there are. That their
// expressions can be read is checked by scripts/check-monitoring.sh.
func TestAlertRules(t *testing.T) {
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "monitoring/alerts.yaml")))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	names, seen := metricNames(t), map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] || !regexp.MustCompile(`^DeviceDefender[A-Za-z]+$`).MatchString(rule.Alert) {
				t.Errorf("alert %q is there twice, or is no name", rule.Alert)
			}
			seen[rule.Alert] = true
			checkMetrics(t, rule.Alert, rule.Expr, names)
			if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
				t.Errorf("%s: severity %q", rule.Alert, severity)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s does not say what it is", rule.Alert)
			}
			if rule.For != "" {
				if _, err := time.ParseDuration(rule.For); err != nil {
					t.Errorf("%s: %v", rule.Alert, err)
				}
			}
		}
	}
	// What goes wrong without anybody seeing it.
	for _, alert := range []string{"ThingsSilent", "SourceStopped", "SourceDisconnected", "AlertsNotDelivered", "DiskFilling", "ClockWrong", "IngestSlow", "Down"} {
		if !seen["DeviceDefender"+alert] {
			t.Errorf("no alert %s", alert)
		}
	}
}

func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title      string
		Templating struct{ List []struct{ Name, Type string } }
		Panels     []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "monitoring/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	names, ids := metricNames(t), map[int]bool{}
	place := map[[2]int]string{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" {
			t.Errorf("panel %d %q", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			checkMetrics(t, "panel "+panel.Title, target.Expr, names)
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("panel %q is of all instances: %s", panel.Title, target.Expr)
			}
		}
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				at := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if place[at] != "" || at[0] >= 24 {
					t.Fatalf("panels %q and %q are in one place", panel.Title, place[at])
				}
				place[at] = panel.Title
			}
		}
	}
	if len(dashboard.Templating.List) != 2 || dashboard.Title == "" {
		t.Errorf("%+v", dashboard.Templating)
	}
}
