package profile

import (
	"fmt"
	"slices"
	"strings"
)

// Check returns everything in the profile that AWS would refuse or that would
// do nothing, in the order of the document. Problems have a path, but no file.
// References are checked as far as the registry knows.
func (p *Profile) Check(r Registry) []Problem {
	c := checker{registry: r}
	c.profile(p)
	return c.problems
}

// CheckBehaviors checks behaviors by themselves, as
// ValidateSecurityProfileBehaviors does; paths begin with behaviors. What
// needs the rest of the profile, as exportMetric does, is not checked.
func CheckBehaviors(behaviors []Behavior, r Registry) []Problem {
	c := checker{registry: r}
	c.behaviors(behaviors)
	return c.problems
}

func (c *checker) profile(p *Profile) {
	c.name("securityProfileName", p.Name)
	c.description("securityProfileDescription", p.Description, 1000)
	c.behaviors(p.Behaviors)
	c.alertTargets(p.AlertTargets)
	for i, metric := range p.AdditionalMetricsToRetain {
		c.metric(IndexPath("additionalMetricsToRetain", i), metric)
	}
	for i, retained := range p.AdditionalMetricsToRetainV2 {
		path := IndexPath("additionalMetricsToRetainV2", i)
		metric, known := c.metric(JoinPath(path, "metric"), retained.Metric)
		if retained.MetricDimension != nil {
			c.dimension(JoinPath(path, "metricDimension"), retained.MetricDimension, metric, known)
		}
	}
	c.export(p)
	c.tags(p.Tags)
	c.targets(p.Targets)
}

func (c *checker) behaviors(behaviors []Behavior) {
	if n := len(behaviors); n > MaxBehaviors {
		c.fail("behaviors", "quota", fmt.Sprintf("%d behaviors", n), fmt.Sprintf("%d at most", MaxBehaviors))
	}
	elements := 0
	models, rules := -1, -1
	names := map[string]int{}
	for i := range behaviors {
		b := &behaviors[i]
		path := IndexPath("behaviors", i)
		c.behavior(path, b)
		if first, twice := names[b.Name]; twice && b.Name != "" {
			c.fail(JoinPath(path, "name"), "duplicate-name", fmt.Sprintf("name %q is that of behaviors[%d] too", b.Name, first), "a name of its own")
		} else {
			names[b.Name] = i
		}
		if b.Criteria == nil {
			continue
		}
		if b.Criteria.Value != nil {
			elements += b.Criteria.Value.Len()
		}
		if b.Criteria.MLDetectionConfig != nil {
			models = i
		} else if b.Criteria.Value != nil || b.Criteria.StatisticalThreshold != nil {
			rules = i
		}
	}
	if elements > MaxValueElements {
		c.fail("behaviors", "quota", fmt.Sprintf("the values of all behaviors have %d elements", elements), fmt.Sprintf("%d at most", MaxValueElements))
	}
	if models >= 0 && rules >= 0 {
		c.fail("behaviors", "ml", fmt.Sprintf("%s is modelled by ML and %s is a rule", behaviors[models].Name, behaviors[rules].Name), "two profiles: one with ML behaviors, one with rules")
	}
}

func (c *checker) alertTargets(targets map[string]AlertTarget) {
	kinds := make([]string, 0, len(targets))
	for kind := range targets {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		path := JoinPath("alertTargets", kind)
		if kind != "SNS" {
			c.fail(path, "alert-target", fmt.Sprintf("alert target %q is unknown", kind), "SNS")
		}
		c.topic(JoinPath(path, "alertTargetArn"), targets[kind].AlertTargetARN)
		c.role(JoinPath(path, "roleArn"), targets[kind].RoleARN)
	}
}

// export checks that metrics which are exported have somewhere to go.
func (c *checker) export(p *Profile) {
	if config := p.MetricsExportConfig; config != nil {
		path := "metricsExportConfig.mqttTopic"
		switch topic := config.MQTTTopic; {
		case topic == "":
			c.required(path, "an MQTT topic")
		case len(topic) > 512:
			c.fail(path, "export", fmt.Sprintf("mqttTopic has %d characters", len(topic)), "512 at most")
		case strings.ContainsAny(topic, "+#"):
			c.fail(path, "export", fmt.Sprintf("mqttTopic %q is a filter: nothing can be published to it", topic), "a topic without + and #")
		}
		c.role("metricsExportConfig.roleArn", config.RoleARN)
		return
	}
	fail := func(path string) {
		c.fail(JoinPath(path, "exportMetric"), "export", "exportMetric is true, but the profile has no metricsExportConfig", "metricsExportConfig with mqttTopic and roleArn")
	}
	for i, b := range p.Behaviors {
		if b.ExportMetric != nil && *b.ExportMetric {
			fail(IndexPath("behaviors", i))
		}
	}
	for i, retained := range p.AdditionalMetricsToRetainV2 {
		if retained.ExportMetric != nil && *retained.ExportMetric {
			fail(IndexPath("additionalMetricsToRetainV2", i))
		}
	}
}

func (c *checker) targets(targets []string) {
	seen := map[string]bool{}
	for i, text := range targets {
		path := IndexPath("targets", i)
		target, err := ParseTarget(text)
		if err != nil {
			c.fail(path, "target", err.Error(), wantTarget)
			continue
		}
		if seen[target.Short()] {
			c.fail(path, "duplicate-name", fmt.Sprintf("target %s is there twice", target.Short()), "each target once")
		}
		seen[target.Short()] = true
	}
}
