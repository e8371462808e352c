package service

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// Buckets of the database. Values are JSON unless noted.
var (
	bucketProfiles    = []byte("profiles")      // name -> storedProfile
	bucketTargets     = []byte("targets")       // profile \x00 target ARN -> nothing
	bucketMetrics     = []byte("custommetrics") // name -> storedCustomMetric
	bucketDimensions  = []byte("dimensions")    // name -> storedDimension
	bucketTags        = []byte("tags")          // resource ARN -> []tag
	bucketThings      = []byte("things")        // name -> storedThing
	bucketGroups      = []byte("groups")        // name -> storedGroup
	bucketMembers     = []byte("members")       // group \x00 thing -> nothing
	bucketMemberships = []byte("memberships")   // thing \x00 group -> nothing
	bucketActions     = []byte("actions")       // name -> storedAction
	bucketTasks       = []byte("tasks")         // task id -> storedTask
	bucketExecutions  = []byte("executions")    // task id \x00 violation \x00 action -> storedExecution
	bucketActive      = []byte("active")        // violation id -> storedActive
	bucketViolations  = []byte("violations")    // violation id -> storedViolation
	bucketEventDays   = []byte("events")        // day (bucket) -> time, violation id \x00 type -> storedEvent
	bucketValueDays   = []byte("values")        // day (bucket) -> thing \x00 time -> []storedValue
	bucketModelDays   = []byte("models")        // day (bucket) -> profile \x00 behavior -> datapoints for a model, 8 bytes
	bucketEngine      = []byte("engine")        // thing -> detect.Engine.SaveThing, binary
	bucketReporters   = []byte("reporters")     // thing -> storedReporter: last report id, time
	bucketOutbox      = []byte("outbox")        // target (bucket) -> number -> storedAlert
	bucketClock       = []byte("clock")         // "clock" -> storedClock
	bucketsAll        = [][]byte{bucketProfiles, bucketTargets, bucketMetrics, bucketDimensions, bucketTags, bucketThings, bucketGroups, bucketMembers, bucketMemberships, bucketActions, bucketTasks, bucketExecutions, bucketActive, bucketViolations, bucketEventDays, bucketValueDays, bucketModelDays, bucketEngine, bucketReporters, bucketOutbox, bucketClock}
)

// createBuckets creates the buckets that are missing. It writes nothing when
// none is: a disk may be full.
func createBuckets(db *bbolt.DB) error {
	missing := 0
	err := db.View(func(tx *bbolt.Tx) error {
		for _, name := range bucketsAll {
			if tx.Bucket(name) == nil {
				missing++
			}
		}
		return nil
	})
	if err != nil || missing == 0 {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range bucketsAll {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// get reads the record at key; nil when there is none.
func get[T any](tx *bbolt.Tx, bucket []byte, key string) (*T, error) {
	data := tx.Bucket(bucket).Get([]byte(key))
	if data == nil {
		return nil, nil
	}
	record := new(T)
	if err := json.Unmarshal(data, record); err != nil {
		return nil, fmt.Errorf("record %q of %s: %w", key, bucket, err)
	}
	return record, nil
}

// put writes the record at key.
func put(tx *bbolt.Tx, bucket []byte, key string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record %q of %s: %w", key, bucket, err)
	}
	return tx.Bucket(bucket).Put([]byte(key), data)
}
