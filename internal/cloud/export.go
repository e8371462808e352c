package cloud

import (
	"context"
	"fmt"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/profile/profilefile"
)

// Export returns the security profiles of these names, or all of them when
// there are none, with their targets and tags, and the custom metrics and
// dimensions that they use. Applied to the account that it's from, the set
// changes nothing.
func (c *Client) Export(ctx context.Context, names []string) (*profilefile.Set, error) {
	profiles, err := c.Profiles(ctx, names)
	if err != nil {
		return nil, err
	}
	set := &profilefile.Set{Profiles: mapped(profiles, func(p AccountProfile) profile.Profile { return p.Profile })}
	metrics, dimensions := references(set.Profiles)
	for _, name := range metrics {
		m, arn, err := c.customMetric(ctx, name)
		if err != nil {
			return nil, err
		}
		if m.Tags, err = c.tags(ctx, "custom metric "+name, arn); err != nil {
			return nil, err
		}
		set.CustomMetrics = append(set.CustomMetrics, *m)
	}
	for _, name := range dimensions {
		d, arn, err := c.dimension(ctx, name)
		if err != nil {
			return nil, err
		}
		if d.Tags, err = c.tags(ctx, "dimension "+name, arn); err != nil {
			return nil, err
		}
		set.Dimensions = append(set.Dimensions, *d)
	}
	return set, nil
}

// TargetARNs returns the set with its targets as ARNs of the client's account.
func (c *Client) TargetARNs(ctx context.Context, set *profilefile.Set) (*profilefile.Set, error) {
	account, err := c.AccountID(ctx)
	if err != nil {
		return nil, err
	}
	out := *set
	out.Profiles = append([]profile.Profile{}, set.Profiles...)
	for i := range out.Profiles {
		p := &out.Profiles[i]
		p.Targets = mapped(p.Targets, func(text string) string {
			t, err := profile.ParseTarget(text)
			if err != nil {
				return text
			}
			return t.ARN(c.Region, account)
		})
	}
	return &out, nil
}

// identifiers makes names unique in a form that some other program takes. Case
// does not tell two apart, as it does not in the files of some systems.
type identifiers map[string]bool

// of returns prefix and name with the characters that valid refuses replaced.
func (ids identifiers) of(prefix, name, replacement string, valid func(rune) bool) string {
	var b strings.Builder
	for _, r := range name {
		if valid(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(replacement)
		}
	}
	id := prefix + b.String()
	for n, plain := 2, id; ids[strings.ToLower(id)]; n++ {
		id = fmt.Sprintf("%s%s%d", plain, replacement, n)
	}
	ids[strings.ToLower(id)] = true
	return id
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isWord(r rune) bool { return isAlphanumeric(r) || r == '_' }

func isFileName(r rune) bool { return isWord(r) || r == '-' }

// File is one document of a set with the name of a file for it, without an
// extension.
type File struct {
	Name     string
	Document any
}

// Files returns the documents of a set, each with a name of its own.
func Files(set *profilefile.Set) []File {
	var files []File
	ids := identifiers{}
	add := func(prefix, name string, document any) {
		files = append(files, File{ids.of(prefix, name, "_", isFileName), document})
	}
	for _, m := range set.CustomMetrics {
		add("custom-metric-", m.Name, m)
	}
	for _, d := range set.Dimensions {
		add("dimension-", d.Name, d)
	}
	for _, p := range set.Profiles {
		add("security-profile-", p.Name, p)
	}
	return files
}
