package service

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// storedProfile is a security profile without its targets and tags, which are
// kept by themselves.
type storedProfile struct {
	Document profile.Profile `json:"document"`
	Version  int64           `json:"version"`
	Created  time.Time       `json:"created"`
	Modified time.Time       `json:"modified"`
	// Revision is another for each document; a version begins at 1 again when a
	// profile is deleted and created. Rows of older versions have none.
	Revision string `json:"revision,omitempty"`
}

// profileInput is the body of CreateSecurityProfile and, without tags,
// UpdateSecurityProfile. Nil members are absent.
type profileInput struct {
	Description                 *string                        `json:"securityProfileDescription"`
	Behaviors                   []profile.Behavior             `json:"behaviors"`
	AlertTargets                map[string]profile.AlertTarget `json:"alertTargets"`
	AdditionalMetricsToRetain   []string                       `json:"additionalMetricsToRetain"`
	AdditionalMetricsToRetainV2 []profile.MetricToRetain       `json:"additionalMetricsToRetainV2"`
	MetricsExportConfig         *profile.MetricsExportConfig   `json:"metricsExportConfig"`

	Tags []tag `json:"tags"`

	DeleteBehaviors                 bool `json:"deleteBehaviors"`
	DeleteAlertTargets              bool `json:"deleteAlertTargets"`
	DeleteAdditionalMetricsToRetain bool `json:"deleteAdditionalMetricsToRetain"`
	DeleteMetricsExportConfig       bool `json:"deleteMetricsExportConfig"`
}

// apply changes the document as UpdateSecurityProfile does: what is absent
// stays, and an empty list counts as absent.
func (in *profileInput) apply(p *profile.Profile) {
	if in.Description != nil {
		p.Description = *in.Description
	}
	if in.DeleteBehaviors || len(in.Behaviors) > 0 {
		p.Behaviors = in.Behaviors
	}
	if in.DeleteAlertTargets || len(in.AlertTargets) > 0 {
		p.AlertTargets = in.AlertTargets
	}
	if in.DeleteAdditionalMetricsToRetain || len(in.AdditionalMetricsToRetain) > 0 {
		p.AdditionalMetricsToRetain = in.AdditionalMetricsToRetain
	}
	if in.DeleteAdditionalMetricsToRetain || len(in.AdditionalMetricsToRetainV2) > 0 {
		p.AdditionalMetricsToRetainV2 = in.AdditionalMetricsToRetainV2
	}
	if in.DeleteMetricsExportConfig || in.MetricsExportConfig != nil {
		p.MetricsExportConfig = in.MetricsExportConfig
	}
}

// checkDeletes refuses a list that is given and deleted at once.
func (in *profileInput) checkDeletes() error {
	for _, d := range []struct {
		flag   string
		delete bool
		given  bool
	}{
		{"deleteBehaviors", in.DeleteBehaviors, len(in.Behaviors) > 0},
		{"deleteAlertTargets", in.DeleteAlertTargets, len(in.AlertTargets) > 0},
		{"deleteAdditionalMetricsToRetain", in.DeleteAdditionalMetricsToRetain, len(in.AdditionalMetricsToRetain)+len(in.AdditionalMetricsToRetainV2) > 0},
		{"deleteMetricsExportConfig", in.DeleteMetricsExportConfig, in.MetricsExportConfig != nil},
	} {
		if d.delete && d.given {
			return awsrest.Invalid(fmt.Sprintf("%s is true, and what it deletes is given in the same call", d.flag))
		}
	}
	return nil
}

// profileAnswer is the answer of DescribeSecurityProfile and
// UpdateSecurityProfile.
type profileAnswer struct {
	Name                        string                         `json:"securityProfileName"`
	ARN                         string                         `json:"securityProfileArn"`
	Description                 string                         `json:"securityProfileDescription,omitempty"`
	Behaviors                   []profile.Behavior             `json:"behaviors,omitempty"`
	AlertTargets                map[string]profile.AlertTarget `json:"alertTargets,omitempty"`
	AdditionalMetricsToRetain   []string                       `json:"additionalMetricsToRetain,omitempty"`
	AdditionalMetricsToRetainV2 []profile.MetricToRetain       `json:"additionalMetricsToRetainV2,omitempty"`
	Version                     int64                          `json:"version"`
	Created                     awsrest.Epoch                  `json:"creationDate"`
	Modified                    awsrest.Epoch                  `json:"lastModifiedDate"`
	MetricsExportConfig         *profile.MetricsExportConfig   `json:"metricsExportConfig,omitempty"`
}

func (s *Service) profileAnswer(stored *storedProfile) profileAnswer {
	p := &stored.Document
	return profileAnswer{
		Name: p.Name, ARN: s.profileARN(p.Name), Description: p.Description, Behaviors: p.Behaviors,
		AlertTargets: p.AlertTargets, AdditionalMetricsToRetain: p.AdditionalMetricsToRetain,
		AdditionalMetricsToRetainV2: p.AdditionalMetricsToRetainV2, MetricsExportConfig: p.MetricsExportConfig,
		Version: stored.Version, Created: awsrest.Epoch(stored.Created), Modified: awsrest.Epoch(stored.Modified),
	}
}

// nameAndARN is a SecurityProfileIdentifier.
type nameAndARN struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

func (s *Service) profileARN(name string) string {
	return profile.ProfileARN(s.options.Region, s.options.Account, name)
}

// getProfile reads a profile that has to be there.
func getProfile(view *store.Reader, name string) (*storedProfile, error) {
	return tableProfiles.require(view, name, "Security profile %s does not exist")
}

func (s *Service) createSecurityProfile(r *awsrest.Request) (any, error) {
	name := r.Name("securityProfileName")
	var in profileInput
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.DeleteBehaviors || in.DeleteAlertTargets || in.DeleteAdditionalMetricsToRetain || in.DeleteMetricsExportConfig {
		return nil, awsrest.Invalid("a profile that is created has nothing to delete")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	arn := s.profileARN(name)
	err := s.write(r.Context(), func(tx *store.Tx) error {
		if there, err := tableProfiles.has(&tx.Reader, name); err != nil {
			return err
		} else if there {
			return awsrest.AlreadyExists(fmt.Sprintf("Security profile %s already exists", name), name, arn)
		}
		now := s.now()
		stored := storedProfile{Document: profile.Profile{Name: name}, Version: 1, Created: now, Modified: now, Revision: awsrest.NewID()}
		in.apply(&stored.Document)
		if err := checkProfile(&tx.Reader, &stored.Document); err != nil {
			return err
		}
		if err := s.checkAlertTargets(in.AlertTargets); err != nil {
			return err
		}
		if err := tableProfiles.Put(tx, name, stored); err != nil {
			return err
		}
		if err := putTags(tx, arn, in.Tags); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
	if err != nil {
		return nil, err
	}
	return struct {
		Name string `json:"securityProfileName"`
		ARN  string `json:"securityProfileArn"`
	}{name, arn}, nil
}

func (s *Service) describeSecurityProfile(r *awsrest.Request) (any, error) {
	name := r.Name("securityProfileName")
	stored, err := readNamed(s, r, name, getProfile)
	if err != nil {
		return nil, err
	}
	return s.profileAnswer(stored), nil
}

func (s *Service) updateSecurityProfile(r *awsrest.Request) (any, error) {
	name := r.Name("securityProfileName")
	expected, err := r.QueryInt("expectedVersion")
	if err != nil {
		return nil, err
	}
	var in profileInput
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Tags != nil {
		return nil, awsrest.Invalid("tags are given when a profile is created; later TagResource changes them")
	}
	if err := in.checkDeletes(); err != nil {
		return nil, err
	}
	var stored *storedProfile
	err = s.write(r.Context(), func(tx *store.Tx) (err error) {
		if stored, err = getProfile(&tx.Reader, name); err != nil {
			return err
		}
		if err := checkVersion("security profile "+name, expected, stored.Version); err != nil {
			return err
		}
		in.apply(&stored.Document)
		if err := checkProfile(&tx.Reader, &stored.Document); err != nil {
			return err
		}
		if err := s.checkAlertTargets(in.AlertTargets); err != nil {
			return err
		}
		stored.Version++
		stored.Modified, stored.Revision = s.now(), awsrest.NewID()
		if err := tableProfiles.Put(tx, name, *stored); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
	if err != nil {
		return nil, err
	}
	return s.profileAnswer(stored), nil
}

// checkVersion compares the version that the caller expects, if any.
func checkVersion(what string, expected *int64, version int64) error {
	if expected != nil && *expected != version {
		return awsrest.VersionConflict(fmt.Sprintf("The version of %s is %d, not the expected %d", what, version, *expected))
	}
	return nil
}

// deleteSecurityProfile deletes a profile with its targets. One that isn't
// there is deleted already.
func (s *Service) deleteSecurityProfile(r *awsrest.Request) (any, error) {
	name := r.Name("securityProfileName")
	expected, err := r.QueryInt("expectedVersion")
	if err != nil {
		return nil, err
	}
	return struct{}{}, s.write(r.Context(), func(tx *store.Tx) error {
		stored, err := tableProfiles.find(&tx.Reader, name)
		if err != nil || stored == nil {
			return err
		}
		if err := checkVersion("security profile "+name, expected, stored.Version); err != nil {
			return err
		}
		if err := tableProfiles.Delete(tx, name); err != nil {
			return err
		}
		if err := tableTargets.deletePrefix(tx, name+"\x00"); err != nil {
			return err
		}
		if err := deleteTags(tx, s.profileARN(name)); err != nil {
			return err
		}
		return s.profileChanged(tx, name)
	})
}

func (s *Service) listSecurityProfiles(r *awsrest.Request) (any, error) {
	metric, err := queryName(r, "metricName")
	if err != nil {
		return nil, err
	}
	dimension, err := queryName(r, "dimensionName")
	if err != nil {
		return nil, err
	}
	if metric != "" && dimension != "" {
		return nil, awsrest.Invalid("dimensionName and metricName cannot be used in the same request")
	}
	return answerList(s, r, "securityProfileIdentifiers", func(view *store.Reader, after string, yield func(string, nameAndARN) bool) error {
		if metric != "" && !profile.IsAWS(metric) {
			if _, err := getCustomMetric(view, metric); err != nil {
				return err
			}
		}
		if dimension != "" {
			if _, err := getDimension(view, dimension); err != nil {
				return err
			}
		}
		if metric != "" || dimension != "" {
			for stored, err := range tableProfiles.rowsAfter(view, "", after) {
				if err != nil {
					return err
				}
				name := stored.Key
				if uses(&stored.Value.Document, metric, dimension) && !yield(name, nameAndARN{name, s.profileARN(name)}) {
					break
				}
			}
			return nil
		}
		return giveKeys(tableProfiles.keysAfter(view, "", after), yield, func(name string) nameAndARN { return nameAndARN{name, s.profileARN(name)} })
	})
}

// uses reports whether the profile uses the metric or the dimension, in a
// behavior or among the metrics that it retains.
func uses(p *profile.Profile, metric, dimension string) bool {
	return slices.ContainsFunc(p.Uses(), func(u profile.Use) bool {
		return metric != "" && u.Name == metric || dimension != "" && u.Dimension == dimension
	})
}

// profilesUsing returns the names of the profiles that use the metric or the
// dimension.
func profilesUsing(view *store.Reader, metric, dimension string) ([]string, error) {
	var using []string
	for stored, err := range tableProfiles.Scan(view, store.Range{}) {
		if err != nil {
			return nil, err
		}
		if uses(&stored.Value.Document, metric, dimension) {
			using = append(using, stored.Key)
		}
	}
	return using, nil
}

// registry returns what profiles may refer to, and the dimensions of that.
func registry(view *store.Reader) (r profile.Registry, dimensions []profile.Dimension, err error) {
	r = profile.Registry{CustomMetrics: map[string]string{}, Dimensions: map[string]bool{}}
	for stored, err := range tableMetrics.Scan(view, store.Range{}) {
		if err != nil {
			return r, nil, err
		}
		r.CustomMetrics[stored.Key] = stored.Value.Type
	}
	for stored, err := range tableDimensions.Scan(view, store.Range{}) {
		if err != nil {
			return r, nil, err
		}
		r.Dimensions[stored.Key] = true
		dimensions = append(dimensions, profile.Dimension{Name: stored.Key, Type: stored.Value.Type, StringValues: stored.Value.StringValues})
	}
	return r, dimensions, nil
}

func checkProfile(view *store.Reader, p *profile.Profile) error {
	r, _, err := registry(view)
	if err != nil {
		return err
	}
	return checkProblems(p.Check(r))
}

func (s *Service) validateSecurityProfileBehaviors(r *awsrest.Request) (any, error) {
	var in struct {
		Behaviors []profile.Behavior `json:"behaviors"`
	}
	if err := r.Decode(&in); err != nil {
		return nil, err
	}
	if in.Behaviors == nil {
		return nil, awsrest.Missing("behaviors")
	}
	if n := len(in.Behaviors); n > profile.MaxBehaviors {
		return nil, awsrest.Constraint("behaviors", fmt.Sprintf("%d behaviors", n), fmt.Sprintf("Member must have length less than or equal to %d", profile.MaxBehaviors))
	}
	type validationError struct {
		Message string `json:"errorMessage"`
	}
	var out struct {
		Valid  bool              `json:"valid"`
		Errors []validationError `json:"validationErrors"`
	}
	err := s.read(r.Context(), func(view *store.Reader) error {
		registry, _, err := registry(view)
		if err != nil {
			return err
		}
		out.Errors = []validationError{}
		for _, p := range profile.CheckBehaviors(in.Behaviors, registry) {
			if p.Severity == profile.Error {
				out.Errors = append(out.Errors, validationError{behaviorProblem(in.Behaviors, p)})
			}
		}
		out.Valid = len(out.Errors) == 0
		return nil
	})
	return out, err
}

// behaviorProblem says a problem of one behavior as AWS does. The text for
// consecutive datapoints is the one that AWS's documentation shows (AWS CLI,
// examples/iot/validate-security-profile-behaviors.rst); others follow it.
func behaviorProblem(behaviors []profile.Behavior, p profile.Problem) string {
	var i int
	if _, err := fmt.Sscanf(p.Path, "behaviors[%d]", &i); err != nil || i < 0 || i >= len(behaviors) {
		return problemText(p)
	}
	b := behaviors[i]
	_, p.Path, _ = strings.Cut(p.Path, "]")
	p.Path = strings.TrimPrefix(p.Path, ".")
	problem := problemText(p)
	if c := b.Criteria; c != nil {
		for _, limited := range []struct {
			name  string
			value *int32
		}{
			{"consecutiveDatapointsToAlarm", c.ConsecutiveDatapointsToAlarm},
			{"consecutiveDatapointsToClear", c.ConsecutiveDatapointsToClear},
		} {
			if p.Path == "criteria."+limited.name && limited.value != nil {
				problem = fmt.Sprintf("%s %d should be in range[1,10]", limited.name, *limited.value)
			}
		}
	}
	return fmt.Sprintf("Behavior %s is malformed. %s", awsrest.Clip(b.Name), problem)
}
