package service

import (
	"fmt"
	"iter"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Tables of the store. Values are JSON unless noted; pairs of names in keys have
// a zero byte between them, which no name has in it.
var (
	tableProfiles    = newTable[storedProfile]("profiles")            // name
	tableTargets     = newIndex("targets")                            // profile, target ARN
	tableMetrics     = newTable[storedCustomMetric]("custom_metrics") // name
	tableDimensions  = newTable[storedDimension]("dimensions")        // name
	tableTags        = newTable[[]tag]("tags")                        // resource ARN
	tableThings      = newTable[storedThing]("things")                // name
	tableGroups      = newTable[storedGroup]("groups")                // name
	tableChildren    = newIndex("children")                           // parent group, group
	tableMembers     = newIndex("members")                            // group, thing
	tableMemberships = newIndex("memberships")                        // thing, group
	tableActions     = newTable[storedAction]("actions")              // name
	// tableCertificates has by which certificates things are known.
	tableCertificates      = newTable[storedCertificate]("certificates") // id
	tableThingCertificates = newIndex("thing_certificates")              // thing, id
	tableTasks             = newTable[storedTask]("tasks")               // task id
	tableExecutions        = newTable[storedExecution]("executions")     // task id, violation id, action

	tableAccessKeys = newTable[storedAccessKey]("access_keys") // id of the key
	tableSessions   = newTable[storedSession]("sessions")      // SHA-256 of the token

	tableViolations      = newTable[storedViolation]("violations") // violation id
	tableActive          = newTable[storedActive]("active")        // violation id
	tableActiveByThing   = newIndex("active_by_thing")             // thing, violation id
	tableActiveByProfile = newIndex("active_by_profile")           // profile, violation id
	tableActiveByStart   = newIndex("active_by_start")             // start in 8 bytes, the latest first; thing, profile, behavior, violation id
	tableByThing         = newIndex("violations_by_thing")         // thing, start as above and violation id
	tableByProfile       = newIndex("violations_by_profile")       // profile, start as above and violation id

	tableEvents = store.NewDayTable("events", store.JSON[storedEvent]()) // time, violation id, type: see eventKey
	eventKeys   = store.NewDayTable("events", store.Empty())             // the same, without the values
	tableValues = store.NewDayTable("values", store.Bytes())             // thing, time and number of a chunk
	valueKeys   = store.NewDayTable("values", store.Empty())             // the same, without the values
	tableAudit  = store.NewDayTable("audit", store.JSON[storedAudit]())  // time, a count and 4 random bytes
	tableModels = store.NewDayTable("models", store.JSON[uint64]())      // profile, behavior, lane -> datapoints for a model
	// tableHistograms has the baselines of statistical behaviors: behavior,
	// window, lane -> detect.Histogram.
	tableHistograms = store.NewDayTable("histograms", store.Bytes())

	tableRows      = table[thingRow]{store.NewTable("rows", rowCodec), store.NewTable("rows", store.Empty())} // thing
	tableLast      = store.NewTable("rows", lastCodec)                                                        // the same, but for the last report only
	tableJobs      = store.NewQueue("jobs", store.Empty())                                                    // see jobs.go
	tableStrangers = newTable[strangerTally]("strangers")                                                     // lane
	tableOutbox    = newTable[storedAlert]("outbox")                                                          // target, number in 8 bytes
	tableClock     = newTable[storedClock]("clock")                                                           // clockKey
	tableMeta      = newTable[uint64]("meta")                                                                 // see the constants
)

// Keys of the table meta.
const (
	// metaRules counts the changes of profiles, targets, custom metrics and
	// dimensions. Each of them depends on others, which it finds by scans: this
	// row is in conflict for all of them.
	metaRules = "rules"
	// metaActions and metaTasks are the same for the bounds on their numbers.
	metaActions = "actions"
	metaTasks   = "tasks"
	// metaAccess and metaSessions are the same for access keys and sessions.
	metaAccess   = "access"
	metaSessions = "sessions"
	// metaAlerts is the number of the last alert.
	metaAlerts = "alerts"
)

// bump adds one to a row of meta and returns it. Of two transactions that bump
// the same row at the same time, one is done again.
func bump(tx *store.Tx, key string) (uint64, error) {
	n, _, err := tableMeta.Get(&tx.Reader, key)
	if err != nil {
		return 0, err
	}
	return n + 1, tableMeta.Put(tx, key, n+1)
}

// table is a table whose keys can be read without decoding values.
type table[V any] struct {
	store.Table[V]
	keys store.Table[struct{}] // the same, but for the codec
}

func newTable[V any](name string) table[V] {
	return table[V]{store.NewTable(name, store.JSON[V]()), store.NewTable(name, store.Empty())}
}

// newIndex returns a table whose rows say all with their keys.
func newIndex(name string) table[struct{}] {
	rows := store.NewTable(name, store.Empty())
	return table[struct{}]{rows, rows}
}

// has reports whether there is a row of the key.
func (t table[V]) has(r *store.Reader, key string) (bool, error) {
	_, there, err := t.keys.Get(r, key)
	return there, err
}

// find returns the value of a key; nil when there is none.
func (t table[V]) find(r *store.Reader, key string) (*V, error) {
	v, there, err := t.Get(r, key)
	if err != nil || !there {
		return nil, err
	}
	return &v, nil
}

// require is find for what has to be there. absent says that it is not.
func (t table[V]) require(r *store.Reader, key, absent string) (*V, error) {
	v, err := t.find(r, key)
	if err == nil && v == nil {
		err = awsrest.NotFound(fmt.Sprintf(absent, key))
	}
	return v, err
}

// findForUpdate is find for what a decision in the transaction depends on.
func (t table[V]) findForUpdate(tx *store.Tx, key string) (*V, error) {
	v, there, err := t.GetForUpdate(tx, key)
	if err != nil || !there {
		return nil, err
	}
	return &v, nil
}

// rowsAfter yields the rows whose keys begin with the prefix and are greater
// than after. Keys are without the prefix, as after is.
func (t table[V]) rowsAfter(r *store.Reader, prefix, after string) iter.Seq2[store.Entry[V], error] {
	return func(yield func(store.Entry[V], error) bool) {
		for entry, err := range t.Scan(r, spanAfter(prefix, after)) {
			if err == nil {
				entry.Key = entry.Key[len(prefix):]
			}
			if !yield(entry, err) {
				return
			}
		}
	}
}

// keysAfter is rowsAfter for the keys only.
func (t table[V]) keysAfter(r *store.Reader, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for entry, err := range t.keys.Scan(r, spanAfter(prefix, after)) {
			if err != nil {
				yield("", err)
				return
			}
			if !yield(entry.Key[len(prefix):], nil) {
				return
			}
		}
	}
}

// spanAfter is the range of the keys that begin with the prefix and go on with
// what is greater than after.
func spanAfter(prefix, after string) store.Range {
	span := store.Prefix(prefix)
	if after != "" {
		span = span.Resume(prefix + after)
	}
	return span
}

// deletePrefix deletes the rows whose keys begin with the prefix.
func (t table[V]) deletePrefix(tx *store.Tx, prefix string) error {
	for key, err := range t.keysAfter(&tx.Reader, prefix, "") {
		if err != nil {
			return err
		}
		if err := t.Delete(tx, prefix+key); err != nil {
			return err
		}
	}
	return nil
}

// count returns the number of rows.
func (t table[V]) count(r *store.Reader) (n int, err error) {
	for _, err := range t.keysAfter(r, "", "") {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// pairKey is the key of a pair of names.
func pairKey(first, second string) string { return first + "\x00" + second }
