package profile

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Check returns what is wrong with the custom metric.
func (m *CustomMetric) Check() []Problem {
	var c checker
	c.name("metricName", m.Name)
	if IsAWS(m.Name) {
		c.fail("metricName", "name", fmt.Sprintf("metricName %q is in AWS's own namespace", m.Name), "a name that does not begin with aws:")
	}
	c.oneOf("metricType", "value", m.Type, StringList, IPAddressList, NumberList, NumberType)
	c.description("displayName", m.DisplayName, 128)
	c.tags(m.Tags)
	return c.problems
}

// Check returns what is wrong with the dimension.
func (d *Dimension) Check() []Problem {
	var c checker
	c.name("name", d.Name)
	c.oneOf("type", "value", d.Type, "TOPIC_FILTER")
	switch n := len(d.StringValues); {
	case n == 0:
		c.required("stringValues", "1 to 100 topic filters")
	case n > 100:
		c.fail("stringValues", "topic-filter", fmt.Sprintf("stringValues has %d elements", n), "100 at most")
	}
	for i, filter := range d.StringValues {
		c.topicFilter(IndexPath("stringValues", i), filter)
	}
	c.tags(d.Tags)
	return c.problems
}

func (c *checker) topicFilter(path, filter string) {
	switch n := utf8.RuneCountInString(filter); {
	case n == 0:
		c.fail(path, "topic-filter", "the topic filter is empty", "1 to 256 characters")
		return
	case n > 256:
		c.fail(path, "topic-filter", fmt.Sprintf("the topic filter has %d characters", n), "256 at most")
		return
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		switch {
		case strings.Contains(level, "#") && (level != "#" || i < len(levels)-1):
			c.fail(path, "topic-filter", fmt.Sprintf("topic filter %q has a # that is not its last level", filter), "a # only as the last level")
			return
		case strings.Contains(level, "+") && level != "+":
			c.fail(path, "topic-filter", fmt.Sprintf("topic filter %q has a + that is not a level", filter), "a + only as a whole level")
			return
		}
	}
}

var actionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// Check returns what is wrong with the mitigation action.
func (a *MitigationAction) Check() []Problem {
	var c checker
	switch {
	case a.Name == "":
		c.required("actionName", "1 to 128 letters, digits, '_' or '-'")
	case !actionName.MatchString(a.Name):
		c.fail("actionName", "name", fmt.Sprintf("actionName %q is not a name of an action", a.Name), "1 to 128 letters, digits, '_' or '-'")
	}
	c.role("roleArn", a.RoleARN)
	c.actionParams(&a.Params)
	c.tags(a.Tags)
	return c.problems
}

func (c *checker) actionParams(p *ActionParams) {
	given := 0
	member := func(name string) string {
		given++
		return JoinPath("actionParams", name)
	}
	if u := p.UpdateDeviceCertificate; u != nil {
		c.oneOf(JoinPath(member("updateDeviceCertificateParams"), "action"), "action", u.Action, "DEACTIVATE")
	}
	if u := p.UpdateCACertificate; u != nil {
		c.oneOf(JoinPath(member("updateCACertificateParams"), "action"), "action", u.Action, "DEACTIVATE")
	}
	if g := p.AddThingsToThingGroup; g != nil {
		path := JoinPath(member("addThingsToThingGroupParams"), "thingGroupNames")
		switch n := len(g.ThingGroupNames); {
		case n == 0:
			c.required(path, "1 to 10 thing groups")
		case n > 10:
			c.fail(path, "action", fmt.Sprintf("thingGroupNames has %d elements", n), "10 at most")
		}
		for i, name := range g.ThingGroupNames {
			c.name(IndexPath(path, i), name)
		}
	}
	if r := p.ReplaceDefaultPolicyVersion; r != nil {
		c.oneOf(JoinPath(member("replaceDefaultPolicyVersionParams"), "templateName"), "action", r.TemplateName, "BLANK_POLICY")
	}
	if l := p.EnableIoTLogging; l != nil {
		path := member("enableIoTLoggingParams")
		c.role(JoinPath(path, "roleArnForLogging"), l.RoleARNForLogging)
		c.oneOf(JoinPath(path, "logLevel"), "action", l.LogLevel, "DEBUG", "INFO", "ERROR", "WARN", "DISABLED")
	}
	if s := p.PublishFindingToSNS; s != nil {
		c.topic(JoinPath(member("publishFindingToSnsParams"), "topicArn"), s.TopicARN)
	}
	switch given {
	case 0:
		c.required("actionParams", "the parameters of one type of action, such as addThingsToThingGroupParams")
	case 1:
	default:
		c.fail("actionParams", "action", fmt.Sprintf("actionParams has the parameters of %d types of action", given), "one")
	}
}
