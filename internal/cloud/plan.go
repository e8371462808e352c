package cloud

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/effect"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// Action is what a step does.
type Action string

// The actions of steps.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
	Tag    Action = "tag"
	Untag  Action = "untag"
	Attach Action = "attach"
	Detach Action = "detach"
)

// Step is one call that changes the account.
type Step struct {
	Action  Action
	Kind    profilefile.DocumentKind
	Name    string
	Target  string               // of Attach and Detach: its short name
	Changes []profilefile.Change // of the document or the tags, field by field

	run func(context.Context) error
}

// String says what the step does, as "attach security profile P to all/things".
func (s Step) String() string {
	text := fmt.Sprintf("%s %v %s", s.Action, s.Kind, s.Name)
	switch s.Action {
	case Attach:
		text += " to " + s.Target
	case Detach:
		text += " from " + s.Target
	}
	return text
}

// Plan is what has to be done, in order.
type Plan struct {
	Steps []Step
	// Problems are why the account cannot be made as the files say, located in
	// them. With any, the plan is not complete and cannot be applied.
	Problems []profile.Problem
	// Unattached are new profiles without a target: they are evaluated for no
	// thing.
	Unattached []string
	// Ineffective is what of the set the service would take and do nothing about.
	Ineffective []string
}

// Plan finds out what has to be done so that the account has what the set
// says. The set's own grammar has been checked. It changes nothing.
func (c *Client) Plan(ctx context.Context, set *profilefile.Set) (*Plan, error) {
	p := &planner{
		c: c, set: set, registry: profile.Registry{CustomMetrics: map[string]string{}, Dimensions: map[string]bool{}},
		created: map[string]bool{},
	}
	for _, stage := range []func(context.Context) error{p.customMetrics, p.dimensions, p.references, p.profiles, p.targets} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	plan := &Plan{
		Steps:    slices.Concat(p.resources, p.documents, p.tagging, p.attaching),
		Problems: p.problems, Unattached: p.unattached,
	}
	for i := range set.Profiles {
		for _, note := range effect.Notes(&set.Profiles[i], c.without.list()) {
			plan.Ineffective = append(plan.Ineffective, set.Profiles[i].Name+": "+note)
		}
	}
	return plan, nil
}

// planner makes a plan.
type planner struct {
	c        *Client
	set      *profilefile.Set
	registry profile.Registry // what there is to refer to, once the plan is applied
	created  map[string]bool  // custom metrics and dimensions that are not there yet
	account  string           // where targets are; "" when there are none
	moves    []move

	resources, documents, tagging, attaching []Step
	problems                                 []profile.Problem
	unattached                               []string
}

// problem reports what stands in the way, at the path of a document.
func (p *planner) problem(kind profilefile.DocumentKind, index int, problem profile.Problem) {
	problem.Severity = profile.Error
	problem.File, problem.Line, problem.Column = p.set.Locate(kind, index, problem.Path)
	p.problems = append(p.problems, problem)
}

func (p *planner) customMetrics(ctx context.Context) error {
	for i, m := range p.set.CustomMetrics {
		p.registry.CustomMetrics[m.Name] = m.Type
		there, arn, err := p.c.customMetric(ctx, m.Name)
		switch {
		case isNotFound(err):
			p.created[m.Name] = true
			p.resources = append(p.resources, p.createCustomMetric(m))
			continue
		case err != nil:
			return err
		case there.Type != m.Type:
			p.problem(profilefile.CustomMetricDocument, i, profile.Problem{
				Path: "metricType", Rule: "immutable",
				Message: fmt.Sprintf("custom metric %s is there and of type %s, which cannot be changed to %s", m.Name, there.Type, m.Type),
				Want:    there.Type + ", or another name; deleting the custom metric loses its values",
			})
			continue
		}
		if changes := appendChange(nil, "displayName", literal(there.DisplayName), literal(m.DisplayName)); changes != nil {
			p.resources = append(p.resources, Step{Action: Update, Kind: profilefile.CustomMetricDocument, Name: m.Name, Changes: changes, run: func(ctx context.Context) error {
				_, err := p.c.IoT.UpdateCustomMetric(ctx, &iot.UpdateCustomMetricInput{MetricName: aws.String(m.Name), DisplayName: aws.String(m.DisplayName)})
				return p.c.failed("update custom metric "+m.Name, err)
			}})
		}
		if err := p.tags(ctx, profilefile.CustomMetricDocument, m.Name, arn, m.Tags); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) createCustomMetric(m profile.CustomMetric) Step {
	changes := appendChange(nil, "metricType", "", literal(m.Type))
	changes = appendChange(changes, "displayName", "", literal(m.DisplayName))
	changes = append(changes, tagChanges(nil, m.Tags)...)
	return Step{Action: Create, Kind: profilefile.CustomMetricDocument, Name: m.Name, Changes: changes, run: func(ctx context.Context) error {
		_, err := p.c.IoT.CreateCustomMetric(ctx, &iot.CreateCustomMetricInput{
			MetricName: aws.String(m.Name), MetricType: types.CustomMetricType(m.Type), DisplayName: optional(m.DisplayName), Tags: tagsTo(m.Tags),
		})
		return p.c.planned(p.c.failed("create custom metric "+m.Name, err))
	}}
}

func (p *planner) dimensions(ctx context.Context) error {
	for i, d := range p.set.Dimensions {
		p.registry.Dimensions[d.Name] = true
		there, arn, err := p.c.dimension(ctx, d.Name)
		switch {
		case isNotFound(err):
			p.created[d.Name] = true
			p.resources = append(p.resources, p.createDimension(d))
			continue
		case err != nil:
			return err
		case there.Type != d.Type:
			p.problem(profilefile.DimensionDocument, i, profile.Problem{
				Path: "type", Rule: "immutable", Message: fmt.Sprintf("dimension %s is there and of type %s", d.Name, there.Type), Want: there.Type,
			})
			continue
		}
		if changes := valueChanges(there.StringValues, d.StringValues); changes != nil {
			p.resources = append(p.resources, Step{Action: Update, Kind: profilefile.DimensionDocument, Name: d.Name, Changes: changes, run: func(ctx context.Context) error {
				_, err := p.c.IoT.UpdateDimension(ctx, &iot.UpdateDimensionInput{Name: aws.String(d.Name), StringValues: d.StringValues})
				return p.c.failed("update dimension "+d.Name, err)
			}})
		}
		if err := p.tags(ctx, profilefile.DimensionDocument, d.Name, arn, d.Tags); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) createDimension(d profile.Dimension) Step {
	changes := appendChange(nil, "type", "", literal(d.Type))
	changes = append(changes, valueChanges(nil, d.StringValues)...)
	changes = append(changes, tagChanges(nil, d.Tags)...)
	return Step{Action: Create, Kind: profilefile.DimensionDocument, Name: d.Name, Changes: changes, run: func(ctx context.Context) error {
		_, err := p.c.IoT.CreateDimension(ctx, &iot.CreateDimensionInput{
			Name: aws.String(d.Name), Type: types.DimensionType(d.Type), StringValues: d.StringValues, Tags: tagsTo(d.Tags),
		})
		return p.c.planned(p.c.failed("create dimension "+d.Name, err))
	}}
}

// references finds out what is there of the custom metrics and dimensions that
// the profiles use and the set does not have, and reports what is not.
func (p *planner) references(ctx context.Context) error {
	metrics, dimensions := references(p.set.Profiles)
	for _, name := range metrics {
		if _, ok := p.registry.CustomMetrics[name]; ok {
			continue
		}
		m, _, err := p.c.customMetric(ctx, name)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err == nil {
			p.registry.CustomMetrics[name] = m.Type
		}
	}
	for _, name := range dimensions {
		if p.registry.Dimensions[name] {
			continue
		}
		_, _, err := p.c.dimension(ctx, name)
		if err != nil && !isNotFound(err) {
			return err
		}
		p.registry.Dimensions[name] = err == nil
	}
	for i := range p.set.Profiles {
		for _, problem := range p.set.Profiles[i].Check(p.registry) {
			p.problem(profilefile.ProfileDocument, i, problem)
		}
	}
	return nil
}

// tags plans the tags of what is there. Nil says nothing about tags.
func (p *planner) tags(ctx context.Context, kind profilefile.DocumentKind, name, arn string, want []profile.Tag) error {
	if want == nil {
		return nil
	}
	what := fmt.Sprintf("%v %s", kind, name)
	have, err := p.c.tags(ctx, what, arn)
	if err != nil {
		return err
	}
	var set []types.Tag
	var removed []string
	var setChanges, removedChanges []profilefile.Change
	for _, change := range tagChanges(have, want) {
		key := change.Path[len("tags[") : len(change.Path)-1]
		if change.Kind == profilefile.Removed {
			removed, removedChanges = append(removed, key), append(removedChanges, change)
			continue
		}
		setChanges = append(setChanges, change)
		i := slices.IndexFunc(want, func(t profile.Tag) bool { return t.Key == key })
		set = append(set, types.Tag{Key: aws.String(key), Value: aws.String(want[i].Value)})
	}
	if removed != nil { // first, for there are 50 at most
		p.tagging = append(p.tagging, Step{Action: Untag, Kind: kind, Name: name, Changes: removedChanges, run: func(ctx context.Context) error {
			_, err := p.c.IoT.UntagResource(ctx, &iot.UntagResourceInput{ResourceArn: aws.String(arn), TagKeys: removed})
			return p.c.failed("untag "+what, err)
		}})
	}
	if set != nil {
		p.tagging = append(p.tagging, Step{Action: Tag, Kind: kind, Name: name, Changes: setChanges, run: func(ctx context.Context) error {
			_, err := p.c.IoT.TagResource(ctx, &iot.TagResourceInput{ResourceArn: aws.String(arn), Tags: set})
			return p.c.failed("tag "+what, err)
		}})
	}
	return nil
}

// tagChanges is what makes one set of tags the other.
func tagChanges(have, want []profile.Tag) []profilefile.Change {
	return profilefile.Diff(&profile.Profile{Tags: have}, &profile.Profile{Tags: append([]profile.Tag{}, want...)})
}

// valueChanges is what makes one set of topic filters the other.
func valueChanges(have, want []string) []profilefile.Change {
	var changes []profilefile.Change
	for _, v := range have {
		if !slices.Contains(want, v) {
			changes = appendChange(changes, "stringValues", literal(v), "")
		}
	}
	for _, v := range want {
		if !slices.Contains(have, v) {
			changes = appendChange(changes, "stringValues", "", literal(v))
		}
	}
	return changes
}

// appendChange appends what happened to a value in JSON; "" is absent.
func appendChange(changes []profilefile.Change, path, before, after string) []profilefile.Change {
	change := profilefile.Change{Path: path, Old: before, New: after, Kind: profilefile.Changed}
	switch {
	case before == after:
		return changes
	case before == "":
		change.Kind = profilefile.Added
	case after == "":
		change.Kind = profilefile.Removed
	}
	return append(changes, change)
}

// literal returns a text as JSON; nothing for an empty one.
func literal(text string) string {
	if text == "" {
		return ""
	}
	return strings.TrimSpace(string(profilefile.EncodeJSON(text)))
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
