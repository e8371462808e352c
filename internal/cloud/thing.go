package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/finding"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Thing is a thing of the registry.
type Thing struct {
	Name       string
	Attributes map[string]string
	Version    int64
}

// ThingList returns the things of the registry, by name.
func (c *Client) ThingList(ctx context.Context) ([]Thing, error) {
	pages := iot.NewListThingsPaginator(c.IoT, &iot.ListThingsInput{MaxResults: aws.Int32(maxResults)})
	things, err := listed(ctx, c, "list things", pages, func(page *iot.ListThingsOutput) []Thing {
		return mapped(page.Things, func(t types.ThingAttribute) Thing {
			return Thing{aws.ToString(t.ThingName), t.Attributes, t.Version}
		})
	})
	slices.SortFunc(things, func(a, b Thing) int { return strings.Compare(a.Name, b.Name) })
	return things, err
}

// CreateThing creates a thing. One that exists with the same attributes stays as it is.
func (c *Client) CreateThing(ctx context.Context, name string, attributes map[string]string) error {
	in := &iot.CreateThingInput{ThingName: aws.String(name)}
	if len(attributes) > 0 {
		in.AttributePayload = &types.AttributePayload{Attributes: attributes}
	}
	_, err := c.IoT.CreateThing(ctx, in)
	return c.failed("create thing "+name, err)
}

// ThingDetail is all that is known of a thing.
type ThingDetail struct {
	Thing
	Registered   bool
	Groups       []string // that it was put into
	Above        []string // groups above these
	Certificates []string // ids of those by which it is known, or of AWS that are attached to it
	Principals   []string // that are attached to it at AWS and are no certificates
	// Profiles and Violations, which are those in alarm, are Detect's. An account may have
	// things and no Detect: NoDetect is why they are not known then.
	Profiles   []AppliedProfile
	Violations []finding.Violation
	NoDetect   error
	// Reports says that the next two are known, which AWS does not tell.
	Reports    bool
	LastReport time.Time // zero: it has not reported
	Silent     bool      // three reports and more are missing

	ours bool // a service of ours tells it
}

// AppliedProfile is a security profile that applies to a thing, by the targets that it
// is attached to.
type AppliedProfile struct {
	Name    string
	Targets []string // short names
}

// ThingDetail reads all about a thing. A service of ours knows things that only report,
// too.
func (c *Client) ThingDetail(ctx context.Context, name string) (*ThingDetail, error) {
	d := &ThingDetail{Thing: Thing{Name: name}}
	out, err := c.IoT.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: aws.String(name)})
	switch {
	case err == nil:
		d.Registered, d.Attributes, d.Version = true, out.Attributes, out.Version
	case !isNotFound(err) || !c.ours:
		return nil, c.failed("describe thing "+name, err)
	}
	if c.ours {
		if err := c.thingState(ctx, d); err != nil {
			return nil, err
		}
	}
	if d.Registered {
		if err := c.thingRegistration(ctx, d); err != nil {
			return nil, err
		}
	}
	if d.Profiles, d.NoDetect = c.appliedProfiles(ctx, d); d.NoDetect == nil {
		d.Violations, d.NoDetect = c.ActiveViolations(ctx, ViolationFilter{Thing: name})
	}
	return d, ctx.Err()
}

// thingState reads when a thing reported. What does not know the operation is no service
// of ours, though it listens on loopback.
func (c *Client) thingState(ctx context.Context, d *ThingDetail) error {
	var state struct {
		LastReport float64 `json:"lastReportDate"`
		Silent     bool    `json:"silent"`
	}
	err := c.ask(ctx, http.MethodGet, "/things/"+url.PathEscape(d.Name)+"/state", nil, &state)
	if f, ok := errors.AsType[*failure](err); ok && d.Registered && !slices.Contains(denials, f.code) {
		return nil
	}
	if err != nil {
		return c.failed("describe the state of thing "+d.Name, err)
	}
	d.ours, d.Reports, d.Silent = true, true, state.Silent
	if state.LastReport > 0 {
		d.LastReport = time.UnixMilli(int64(state.LastReport * 1000))
	}
	return nil
}

// thingRegistration reads groups and certificates.
func (c *Client) thingRegistration(ctx context.Context, d *ThingDetail) error {
	var err error
	if d.Groups, err = c.GroupsOf(ctx, d.Name); err != nil {
		return err
	}
	for _, group := range d.Groups {
		g, err := c.Group(ctx, group)
		if isNotFound(err) {
			continue // deleted since
		}
		if err != nil {
			return err
		}
		d.Above = append(d.Above, g.Above...)
	}
	slices.Sort(d.Above)
	d.Above = slices.Compact(d.Above)
	if d.ours {
		d.Certificates, err = c.thingCertificates(ctx, d.Name)
		return err
	}
	pages := iot.NewListThingPrincipalsPaginator(c.IoT, &iot.ListThingPrincipalsInput{ThingName: aws.String(d.Name), MaxResults: aws.Int32(maxResults)})
	principals, err := listed(ctx, c, "list the principals of thing "+d.Name, pages, func(page *iot.ListThingPrincipalsOutput) []string { return page.Principals })
	for _, principal := range principals {
		if _, id, ok := strings.Cut(principal, ":cert/"); ok {
			d.Certificates = append(d.Certificates, id)
		} else {
			d.Principals = append(d.Principals, principal)
		}
	}
	return err
}

// appliedProfiles returns the security profiles that apply to a thing, by name.
func (c *Client) appliedProfiles(ctx context.Context, d *ThingDetail) ([]AppliedProfile, error) {
	account, err := c.AccountID(ctx)
	if err != nil {
		return nil, err
	}
	targets := []profile.Target{{Kind: profile.AllThings}, {Kind: profile.AllUnregistered}}
	if d.Registered {
		targets[1].Kind = profile.AllRegistered
	}
	for _, group := range append(slices.Clone(d.Groups), d.Above...) {
		targets = append(targets, profile.Target{Kind: profile.ThingGroup, Group: group})
	}
	by := map[string][]string{}
	for _, target := range targets {
		names, err := c.attachedTo(ctx, target.ARN(c.Region, account))
		if isNotFound(err) {
			continue // the group is deleted since
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			by[name] = append(by[name], target.Short())
		}
	}
	var applied []AppliedProfile
	for name, targets := range by {
		applied = append(applied, AppliedProfile{name, targets})
	}
	slices.SortFunc(applied, func(a, b AppliedProfile) int { return strings.Compare(a.Name, b.Name) })
	return applied, nil
}

// PlanDeleteThings finds out what deleting things does. All of them have to exist.
func (c *Client) PlanDeleteThings(ctx context.Context, names []string) (*Setup, error) {
	plan := &Setup{}
	ours := false
	var unknown error
	for _, name := range names {
		d, err := c.ThingDetail(ctx, name)
		if err != nil {
			return nil, err
		}
		if n := len(d.Certificates) + len(d.Principals); n > 0 && !d.ours {
			return nil, fmt.Errorf("thing %s has %d certificates or other principals, and AWS deletes no thing that has any: detach them first", name, n)
		}
		ours, unknown = d.ours, cmp.Or(unknown, d.NoDetect)
		plan.Steps = append(plan.Steps, SetupStep{What: "delete thing " + name, Note: d.deletionNote(), Deletes: true, run: func(ctx context.Context) error {
			_, err := c.IoT.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: aws.String(name)})
			return c.failed("delete thing "+name, err)
		}})
	}
	if unknown != nil {
		plan.Hints = append(plan.Hints, notKnown(unknown))
	}
	if ours {
		plan.Hints = append(plan.Hints, "events and violations that were found stay in the history; a thing that goes on reporting is a new one")
	}
	return plan, nil
}

// notKnown says that a plan lacks what Detect would tell.
func notKnown(err error) string {
	return "what of Device Defender refers to it is not known: " + err.Error()
}

// deletionNote says what goes with a thing.
func (d *ThingDetail) deletionNote() string {
	var parts []string
	if !d.Registered {
		parts = append(parts, "it is not registered")
	}
	if len(d.Groups) > 0 {
		parts = append(parts, "it leaves "+strings.Join(d.Groups, ", "))
	}
	if d.ours {
		if n := len(d.Certificates); n > 0 {
			parts = append(parts, fmt.Sprintf("no longer known by its certificates: %d", n))
		}
		if !d.LastReport.IsZero() {
			parts = append(parts, "what it reported is forgotten")
		}
		if n := len(d.Violations); n > 0 {
			parts = append(parts, fmt.Sprintf("alarms that end: %d", n))
		}
	}
	return strings.Join(parts, "; ")
}
