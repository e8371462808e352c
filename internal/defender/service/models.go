package service

import (
	"fmt"
	"strings"
	"time"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Models of ML Detect are not built here; what a model would have to learn
// from is counted, so that the answer about it is true.
const (
	trainingDays       = 14
	trainingDatapoints = 25_000 // AWS's minimum number of datapoints per metric in trainingDays
)

// modelKey is the profile and the behavior. No name has a zero byte in it.
func modelKey(profile, behavior string) string { return profile + "\x00" + behavior }

// countModels adds the datapoints of the transaction to those of the day, in
// rows of the lane.
func (b *batch) countModels() error {
	day := day(b.now)
	for model, n := range b.models {
		key := model + "\x00" + b.lane
		old, _, err := tableModels.Get(&b.tx.Reader, day, key)
		if err != nil {
			return err
		}
		if err := tableModels.Put(b.tx, day, key, old+n); err != nil {
			return err
		}
	}
	return nil
}

// modelSummary is what GetBehaviorModelTrainingSummaries shows of a behavior.
// A model that was never built has no date of its last refresh.
type modelSummary struct {
	Profile    string        `json:"securityProfileName"`
	Behavior   string        `json:"behaviorName"`
	Start      awsrest.Epoch `json:"trainingDataCollectionStartDate"`
	Status     string        `json:"modelStatus"`
	Percentage float64       `json:"datapointsCollectionPercentage"`
}

// getBehaviorModelTrainingSummaries says of each ML behavior how much of what
// a model needs has come in the last days. No model is ever active here, for
// none is built.
func (s *Service) getBehaviorModelTrainingSummaries(r *awsrest.Request) (any, error) {
	name, err := queryName(r, "securityProfileName")
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "summaries", func(view *store.Reader, after string, yield func(string, modelSummary) bool) error {
		span := store.Range{}
		if name != "" {
			if _, err := getProfile(view, name); err != nil {
				return err
			}
			span = store.Range{From: name, To: name + "\x00"}
		}
		if last, _, ok := strings.Cut(after, "\x00"); ok {
			span.From = max(span.From, last)
		}
		counted, err := datapoints(view, s.now())
		if err != nil {
			return err
		}
		for stored, err := range tableProfiles.Scan(view, span) {
			if err != nil {
				return err
			}
			for i, b := range stored.Value.Document.Behaviors {
				at := modelKey(stored.Key, fmt.Sprintf("%03d", i))
				if at <= after || criteriaType(&b) != machineLearning {
					continue
				}
				shown := modelSummary{
					Profile: stored.Key, Behavior: b.Name, Start: awsrest.Epoch(stored.Value.Created), Status: "PENDING_BUILD",
					Percentage: min(100, 100*float64(counted[modelKey(stored.Key, b.Name)])/trainingDatapoints),
				}
				if !yield(at, shown) {
					return nil
				}
			}
		}
		return nil
	})
}

// datapoints adds up what all lanes have counted in the last days, by modelKey.
func datapoints(view *store.Reader, now time.Time) (map[string]uint64, error) {
	total := map[string]uint64{}
	days, err := tableModels.Days(view)
	if err != nil {
		return nil, err
	}
	first := day(now.AddDate(0, 0, -trainingDays))
	for _, day := range days {
		if day <= first {
			continue
		}
		for counted, err := range tableModels.Scan(view, day, store.Range{}) {
			if err != nil {
				return nil, err
			}
			lane := strings.LastIndexByte(counted.Key, 0)
			if lane < 0 {
				return nil, fmt.Errorf("datapoints %q: %w", counted.Key, store.ErrDamaged)
			}
			total[counted.Key[:lane]] += counted.Value
		}
	}
	return total, nil
}
