package cloud

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"

	"github.com/device-defender/device-defender/internal/defender/profile"
)

// AccountProfile is a security profile as the account has it.
type AccountProfile struct {
	profile.Profile // targets by short names, sorted; tags sorted
	ARN             string
	Version         int64
	Created         time.Time
	Modified        time.Time
}

// listed returns the elements of all pages of one of the SDK's lists. What is
// done is for the error.
func listed[O, E any](ctx context.Context, c *Client, what string, pages interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*iot.Options)) (*O, error)
}, elements func(*O) []E) ([]E, error) {
	var all []E
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.failed(what, err)
		}
		all = append(all, elements(page)...)
	}
	return all, nil
}

// ProfileNames returns the names of the account's security profiles, sorted.
func (c *Client) ProfileNames(ctx context.Context) ([]string, error) {
	pages := iot.NewListSecurityProfilesPaginator(c.IoT, &iot.ListSecurityProfilesInput{MaxResults: aws.Int32(maxResults)})
	names, err := listed(ctx, c, "list security profiles", pages, func(page *iot.ListSecurityProfilesOutput) []string {
		return mapped(page.SecurityProfileIdentifiers, func(id types.SecurityProfileIdentifier) string { return aws.ToString(id.Name) })
	})
	slices.Sort(names)
	return names, err
}

// Profile returns a security profile with its targets and tags. The error is
// a ResourceNotFoundException when there is none of that name.
func (c *Client) Profile(ctx context.Context, name string) (*AccountProfile, error) {
	p, err := c.describeProfile(ctx, name)
	if err != nil {
		return nil, err
	}
	targets, err := c.targets(ctx, name)
	if err != nil {
		return nil, err
	}
	p.Targets = mapped(targets, shortTarget)
	slices.Sort(p.Targets)
	if p.Tags, err = c.tags(ctx, "security profile "+name, p.ARN); err != nil {
		return nil, err
	}
	return p, nil
}

// Profiles returns the security profiles of these names, or all of them when
// there are none, in that order. One that is deleted meanwhile is left out of
// all.
func (c *Client) Profiles(ctx context.Context, names []string) ([]AccountProfile, error) {
	all := len(names) == 0
	if all {
		var err error
		if names, err = c.ProfileNames(ctx); err != nil {
			return nil, err
		}
	}
	var profiles []AccountProfile
	for _, name := range names {
		p, err := c.Profile(ctx, name)
		if all && isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, *p)
	}
	return profiles, nil
}

// describeProfile leaves out targets and tags.
func (c *Client) describeProfile(ctx context.Context, name string) (*AccountProfile, error) {
	out, err := c.IoT.DescribeSecurityProfile(ctx, &iot.DescribeSecurityProfileInput{SecurityProfileName: aws.String(name)})
	if err != nil {
		return nil, c.failed("describe security profile "+name, err)
	}
	return &AccountProfile{
		Profile: profileOf(out), ARN: aws.ToString(out.SecurityProfileArn), Version: out.Version,
		Created: aws.ToTime(out.CreationDate), Modified: aws.ToTime(out.LastModifiedDate),
	}, nil
}

// targets returns the ARNs of what a profile is attached to.
func (c *Client) targets(ctx context.Context, name string) ([]string, error) {
	pages := iot.NewListTargetsForSecurityProfilePaginator(c.IoT, &iot.ListTargetsForSecurityProfileInput{
		SecurityProfileName: aws.String(name), MaxResults: aws.Int32(maxResults),
	})
	return listed(ctx, c, "list the targets of security profile "+name, pages, func(page *iot.ListTargetsForSecurityProfileOutput) []string {
		return mapped(page.SecurityProfileTargets, func(t types.SecurityProfileTarget) string { return aws.ToString(t.Arn) })
	})
}

// attachedTo returns the names of the profiles attached to a target itself.
func (c *Client) attachedTo(ctx context.Context, arn string) ([]string, error) {
	pages := iot.NewListSecurityProfilesForTargetPaginator(c.IoT, &iot.ListSecurityProfilesForTargetInput{
		SecurityProfileTargetArn: aws.String(arn), MaxResults: aws.Int32(maxResults),
	})
	return listed(ctx, c, "list the security profiles of "+shortTarget(arn), pages, func(page *iot.ListSecurityProfilesForTargetOutput) (names []string) {
		for _, m := range page.SecurityProfileTargetMappings {
			if m.SecurityProfileIdentifier != nil && m.Target != nil && aws.ToString(m.Target.Arn) == arn {
				names = append(names, aws.ToString(m.SecurityProfileIdentifier.Name))
			}
		}
		return names
	})
}

// shortTarget returns a target's short name, or the ARN when it's of a kind
// that is not known.
func shortTarget(arn string) string {
	t, err := profile.ParseTarget(arn)
	if err != nil {
		return arn
	}
	return t.Short()
}

// tags returns the tags of a resource, sorted, without AWS's own.
func (c *Client) tags(ctx context.Context, what, arn string) ([]profile.Tag, error) {
	pages := iot.NewListTagsForResourcePaginator(c.IoT, &iot.ListTagsForResourceInput{ResourceArn: aws.String(arn)})
	tags, err := listed(ctx, c, "list the tags of "+what, pages, func(page *iot.ListTagsForResourceOutput) []types.Tag { return page.Tags })
	return tagsOf(tags), err
}

// customMetric returns a custom metric with its ARN, without its tags.
func (c *Client) customMetric(ctx context.Context, name string) (*profile.CustomMetric, string, error) {
	out, err := c.IoT.DescribeCustomMetric(ctx, &iot.DescribeCustomMetricInput{MetricName: aws.String(name)})
	if err != nil {
		return nil, "", c.failed("describe custom metric "+name, err)
	}
	return &profile.CustomMetric{Name: name, Type: string(out.MetricType), DisplayName: aws.ToString(out.DisplayName)}, aws.ToString(out.MetricArn), nil
}

// dimension returns a dimension with its ARN, without its tags.
func (c *Client) dimension(ctx context.Context, name string) (*profile.Dimension, string, error) {
	out, err := c.IoT.DescribeDimension(ctx, &iot.DescribeDimensionInput{Name: aws.String(name)})
	if err != nil {
		return nil, "", c.failed("describe dimension "+name, err)
	}
	return &profile.Dimension{Name: name, Type: string(out.Type), StringValues: out.StringValues}, aws.ToString(out.Arn), nil
}

// references returns the custom metrics and dimensions that profiles use, each
// once and sorted.
func references(profiles []profile.Profile) (metrics, dimensions []string) {
	for i := range profiles {
		for _, u := range profiles[i].Uses() {
			if !profile.IsAWS(u.Name) {
				metrics = append(metrics, u.Name)
			}
			if u.Dimension != "" {
				dimensions = append(dimensions, u.Dimension)
			}
		}
	}
	unique := func(names []string) []string {
		slices.SortFunc(names, strings.Compare)
		return slices.Compact(names)
	}
	return unique(metrics), unique(dimensions)
}

// Things yields the names of the things of the registry. An error is the last
// thing that it yields.
func (c *Client) Things(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		pages := iot.NewListThingsPaginator(c.IoT, &iot.ListThingsInput{MaxResults: aws.Int32(maxResults)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", c.failed("list things", err))
				return
			}
			for _, t := range page.Things {
				if !yield(aws.ToString(t.ThingName), nil) {
					return
				}
			}
		}
	}
}
