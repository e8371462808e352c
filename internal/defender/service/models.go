package service

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Models of ML Detect are not built here; what a model would have to learn
// from is counted, so that the answer about it is true.
const (
	trainingDays       = 14
	trainingDatapoints = 25_000 // AWS's minimum number of datapoints per metric in trainingDays
)

// modelKey is the profile and the behavior. No name has a zero byte in it.
func modelKey(profile, behavior string) string { return profile + "\x00" + behavior }

// countModels adds the datapoints of the transaction to those of the day.
func (c *change) countModels() error {
	if len(c.models) == 0 {
		return nil
	}
	b, err := c.tx.Bucket(bucketModelDays).CreateBucketIfNotExists(day(c.now))
	if err != nil {
		return err
	}
	for key, n := range c.models {
		if old := b.Get([]byte(key)); len(old) == 8 {
			n += binary.BigEndian.Uint64(old)
		}
		if err := b.Put([]byte(key), binary.BigEndian.AppendUint64(nil, n)); err != nil {
			return err
		}
	}
	return nil
}

// modelSummary is what GetBehaviorModelTrainingSummaries shows of a behavior.
// A model that was never built has no date of its last refresh.
type modelSummary struct {
	Profile    string  `json:"securityProfileName"`
	Behavior   string  `json:"behaviorName"`
	Start      epoch   `json:"trainingDataCollectionStartDate"`
	Status     string  `json:"modelStatus"`
	Percentage float64 `json:"datapointsCollectionPercentage"`
}

// getBehaviorModelTrainingSummaries says of each ML behavior how much of what
// a model needs has come in the last days. No model is ever active here, for
// none is built.
func getBehaviorModelTrainingSummaries(s *Service, r *request) (any, error) {
	name, err := r.queryName("securityProfileName")
	if err != nil {
		return nil, err
	}
	return answerList(s, r, "summaries", func(tx *bbolt.Tx, after string, yield func(string, modelSummary) bool) error {
		if name != "" && tx.Bucket(bucketProfiles).Get([]byte(name)) == nil {
			return notFound("Security profile " + name + " does not exist")
		}
		counted, err := datapoints(tx, s.now())
		if err != nil {
			return err
		}
		for key, record := range keysAfter(tx, bucketProfiles, "", "") {
			var stored storedProfile
			if err := json.Unmarshal(record, &stored); err != nil {
				return err
			}
			for i, b := range stored.Document.Behaviors {
				at := modelKey(key, fmt.Sprintf("%03d", i))
				if at <= after || name != "" && name != key || criteriaType(&b) != machineLearning {
					continue
				}
				shown := modelSummary{
					Profile: key, Behavior: b.Name, Start: epoch(stored.Created), Status: "PENDING_BUILD",
					Percentage: min(100, 100*float64(counted[modelKey(key, b.Name)])/trainingDatapoints),
				}
				if !yield(at, shown) {
					return nil
				}
			}
		}
		return nil
	})
}

// datapoints adds up what was counted in the last days.
func datapoints(tx *bbolt.Tx, now time.Time) (map[string]uint64, error) {
	total := map[string]uint64{}
	days := tx.Bucket(bucketModelDays)
	first := string(day(now.AddDate(0, 0, -trainingDays)))
	err := days.ForEachBucket(func(name []byte) error {
		if string(name) <= first {
			return nil
		}
		return days.Bucket(name).ForEach(func(key, n []byte) error {
			total[string(key)] += binary.BigEndian.Uint64(n)
			return nil
		})
	})
	return total, err
}
