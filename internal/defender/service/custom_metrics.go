package service

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

type storedCustomMetric struct {
	Type        string    `json:"type"`
	DisplayName string    `json:"displayName,omitempty"`
	Token       string    `json:"token"` // clientRequestToken of the call that created it
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`
}

// customMetricAnswer is the answer of DescribeCustomMetric and
// UpdateCustomMetric.
type customMetricAnswer struct {
	Name        string        `json:"metricName"`
	ARN         string        `json:"metricArn"`
	Type        string        `json:"metricType"`
	DisplayName string        `json:"displayName,omitempty"`
	Created     awsrest.Epoch `json:"creationDate"`
	Modified    awsrest.Epoch `json:"lastModifiedDate"`
}

func (s *Service) customMetricAnswer(name string, m *storedCustomMetric) customMetricAnswer {
	return customMetricAnswer{name, s.customMetricARN(name), m.Type, m.DisplayName, awsrest.Epoch(m.Created), awsrest.Epoch(m.Modified)}
}

func (s *Service) customMetricARN(name string) string {
	return profile.CustomMetricARN(s.options.Region, s.options.Account, name)
}

// getCustomMetric reads a custom metric that has to be there.
func getCustomMetric(view *store.Reader, name string) (*storedCustomMetric, error) {
	return tableMetrics.require(view, name, "Custom metric %s does not exist")
}

var requestToken = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// checkToken checks a clientRequestToken. The SDKs make one up when their user
// gives none.
func checkToken(token *string) error {
	switch {
	case token == nil:
		return awsrest.Missing("clientRequestToken")
	case !requestToken.MatchString(*token):
		return awsrest.Constraint("clientRequestToken", *token, "Member must have 1 to 64 characters and satisfy regular expression pattern: ^[a-zA-Z0-9-_]+$")
	}
	return nil
}

// createCustomMetric creates a custom metric. A call that is repeated, with its
// token, is answered as the first; a token serves for only one custom metric.
func (s *Service) createCustomMetric(r *awsrest.Request) (any, error) {
	name := r.Name("metricName")
	var in struct {
		Type        *string `json:"metricType"`
		DisplayName string  `json:"displayName"`
		Tags        []tag   `json:"tags"`
		Token       *string `json:"clientRequestToken"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Type == nil {
		return nil, awsrest.Missing("metricType")
	}
	if err := checkToken(in.Token); err != nil {
		return nil, err
	}
	document := profile.CustomMetric{Name: name, Type: *in.Type, DisplayName: in.DisplayName, Tags: plainTags(in.Tags)}
	if err := checkProblems(document.Check()); err != nil {
		return nil, err
	}
	arn := s.customMetricARN(name)
	err := s.write(r.Context(), func(tx *store.Tx) error {
		count := 0
		for there, err := range tableMetrics.Scan(&tx.Reader, store.Range{}) {
			if err != nil {
				return err
			}
			other, there := there.Key, there.Value
			same := there.Token == *in.Token && there.Type == *in.Type && there.DisplayName == in.DisplayName
			switch {
			case other == name && same:
				return nil
			case other == name:
				return awsrest.AlreadyExists(fmt.Sprintf("Custom metric %s already exists", name), name, arn)
			case there.Token == *in.Token:
				return awsrest.AlreadyExists(fmt.Sprintf("Custom metric %s was created with the same clientRequestToken", other), other, s.customMetricARN(other))
			}
			count++
		}
		if count >= profile.MaxCustomMetrics {
			return awsrest.LimitExceeded(fmt.Sprintf("The account has %d custom metrics, and can have no more", count))
		}
		if _, err := bump(tx, metaRules); err != nil {
			return err
		}
		now := s.now()
		if err := tableMetrics.Put(tx, name, storedCustomMetric{*in.Type, in.DisplayName, *in.Token, now, now}); err != nil {
			return err
		}
		return putTags(tx, arn, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Name string `json:"metricName"`
		ARN  string `json:"metricArn"`
	}{name, arn}, nil
}

func (s *Service) describeCustomMetric(r *awsrest.Request) (any, error) {
	name := r.Name("metricName")
	stored, err := readNamed(s, r, name, getCustomMetric)
	if err != nil {
		return nil, err
	}
	return s.customMetricAnswer(name, stored), nil
}

func (s *Service) updateCustomMetric(r *awsrest.Request) (any, error) {
	name := r.Name("metricName")
	var in struct {
		DisplayName *string `json:"displayName"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.DisplayName == nil {
		return nil, awsrest.Missing("displayName")
	}
	var stored *storedCustomMetric
	err := s.write(r.Context(), func(tx *store.Tx) (err error) {
		if stored, err = getCustomMetric(&tx.Reader, name); err != nil {
			return err
		}
		document := profile.CustomMetric{Name: name, Type: stored.Type, DisplayName: *in.DisplayName}
		if err := checkProblems(document.Check()); err != nil {
			return err
		}
		stored.DisplayName, stored.Modified = *in.DisplayName, s.now()
		return tableMetrics.Put(tx, name, *stored)
	})
	if err != nil {
		return nil, err
	}
	return s.customMetricAnswer(name, stored), nil
}

// deleteCustomMetric deletes a custom metric that no profile uses. One that
// isn't there is deleted already.
func (s *Service) deleteCustomMetric(r *awsrest.Request) (any, error) {
	name := r.Name("metricName")
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		using, err := profilesUsing(&tx.Reader, name, "")
		if err != nil {
			return err
		}
		if err := checkUnused("Custom metric "+name, using); err != nil {
			return err
		}
		if _, err := bump(tx, metaRules); err != nil {
			return err
		}
		if err := tableMetrics.Delete(tx, name); err != nil {
			return err
		}
		return deleteTags(tx, s.customMetricARN(name))
	})
}

// checkUnused refuses to delete what profiles use.
func checkUnused(what string, using []string) error {
	if len(using) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if n := len(using) - shown; n > 0 {
		using, more = slices.Clip(using[:shown]), fmt.Sprintf(" and %d more", n)
	}
	return awsrest.Invalid(fmt.Sprintf("%s is used by security profiles %s%s", what, strings.Join(using, ", "), more))
}

func (s *Service) listCustomMetrics(r *awsrest.Request) (any, error) {
	return listNames(s, r, "metricNames", tableMetrics)
}
