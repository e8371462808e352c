package service

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
	"github.com/device-defender/device-defender/internal/defender/store"
)

const (
	// auditUser is who calls without authentication.
	auditUser = "loopback"
	// maxAuditPath bounds what is kept of a path; names in it have 128 characters.
	maxAuditPath = 512
	// maxAuditID bounds what is kept of the id of credentials, which anybody may
	// make up.
	maxAuditID = 128
	// auditTimeout is how long the log may hold up an answer that changed nothing.
	auditTimeout = 5 * time.Second
)

// storedAudit is a row of the audit log: who did what from where, and what was
// answered.
type storedAudit struct {
	User       string `json:"user,omitempty"` // "" is somebody who is not known
	KeyID      string `json:"key,omitempty"`  // of the access key; not verified when user is empty
	From       string `json:"from,omitempty"`
	Operation  string `json:"operation"`
	Path       string `json:"path,omitempty"`
	Parameters string `json:"parameters,omitempty"`
	Status     int    `json:"status"`
	Error      string `json:"error,omitempty"`
	// Omitted is how many refused calls came since the last one that was kept, and
	// were not.
	Omitted int `json:"omitted,omitempty"`
}

// auditEntry is the row of a request that is under way. A nil one is of what is not
// logged.
type auditEntry struct {
	time time.Time
	key  string
	row  storedAudit
	kept bool // it is in the store
}

// newEntry returns the entry of a call.
func newEntry(now time.Time, row storedAudit) *auditEntry {
	var id [4]byte
	rand.Read(id[:])
	row.Status = http.StatusOK
	key := binary.BigEndian.AppendUint32([]byte(store.TimeKey(now)), auditCount.Add(1))
	return &auditEntry{time: now, key: string(append(key, id[:]...)), row: row}
}

// auditCount puts the entries of a millisecond in order.
var auditCount atomic.Uint32

// put writes the row, as often as it is called.
func (e *auditEntry) put(tx *store.Tx) error {
	if e == nil {
		return nil
	}
	return tableAudit.Put(tx, store.DayOf(e.time), e.key, e.row)
}

func (e *auditEntry) wasKept() {
	if e != nil {
		e.kept = true
	}
}

// entryKey is the key of a request's entry among the values of its context.
type entryKey struct{}

func withEntry(ctx context.Context, e *auditEntry) context.Context {
	return context.WithValue(ctx, entryKey{}, e)
}

func entryOf(ctx context.Context) *auditEntry {
	e, _ := ctx.Value(entryKey{}).(*auditEntry)
	return e
}

// changes reports whether operations of the level change something. Reports of
// devices are not among them: they are what the service is for, and are kept
// themselves.
func changes(level awsrest.Access) bool { return level == awsrest.Write || level == awsrest.Admin }

// recorded has calls in the audit log that change something or are not authorized.
func (s *Service) recorded(authorize func(*awsrest.Request) error) func(*awsrest.Request) error {
	return func(r *awsrest.Request) error {
		err := authorize(r)
		read := r.Operation.Method == http.MethodGet
		if err == nil && (read || !changes(r.Operation.Access)) {
			return nil
		}
		row := storedAudit{
			User: r.Caller, KeyID: clip(r.CallerID, maxAuditID), From: addressOf(r.HTTP),
			Operation: r.Operation.Name, Path: clip(r.HTTP.URL.Path, maxAuditPath),
		}
		if !s.options.Authentication {
			row.User = auditUser
		}
		if err == nil {
			row.Parameters = auditParameters(r.HTTP.URL.Query(), r.Body)
		}
		r.HTTP = r.HTTP.WithContext(withEntry(r.HTTP.Context(), newEntry(s.now(), row)))
		return err
	}
}

// recordAnswer has the answer in the log.
func (s *Service) recordAnswer(r *awsrest.Request, failure *awsrest.Error) {
	e := entryOf(r.HTTP.Context())
	if e == nil {
		return
	}
	if failure != nil {
		e.row.Status, e.row.Error = failure.Status, failure.Type
	}
	s.record(r.HTTP.Context(), e)
}

// record writes an entry, unless the transaction of the change has done so. Of those
// that are refused only some are kept. Pages are not told: a refusal changes
// nothing that they show, and anybody can cause one.
func (s *Service) record(ctx context.Context, e *auditEntry) {
	failed := e.row.Status != http.StatusOK
	if e.kept && !failed {
		return
	}
	if failed && !e.kept {
		var allowed bool
		if e.row.Omitted, allowed = s.refusals.allowed(e.row.User != "", s.now()); !allowed {
			return
		}
	}
	// Whoever called may not wait any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if err := s.store.Update(ctx, e.put); err != nil {
		s.log.Error("writing the audit log failed", "user", e.row.User, "from", e.row.From, "operation", e.row.Operation, "status", e.row.Status, "error", err)
		return
	}
	e.kept = true
}

// refusalBurst refused calls are kept at once, and one more after each refusalPause: at
// most 800,000 in the time for which they are kept.
const (
	refusalBurst = 60
	refusalPause = 10 * time.Second
)

// refusals bounds what refused calls write to the disk. Those who are known have a
// bound of their own, so that a stranger cannot hide what they try.
type refusals struct {
	mu      sync.Mutex
	limits  map[bool]*rate.Limiter
	omitted map[bool]int
}

// allowed reports whether one more is kept, and how many before it were not.
func (r *refusals) allowed(known bool, now time.Time) (omitted int, allowed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limits == nil {
		r.limits, r.omitted = map[bool]*rate.Limiter{}, map[bool]int{}
		for _, known := range []bool{true, false} {
			r.limits[known] = rate.NewLimiter(rate.Every(refusalPause), refusalBurst)
		}
	}
	if !r.limits[known].AllowN(now, 1) {
		r.omitted[known]++
		return 0, false
	}
	omitted, r.omitted[known] = r.omitted[known], 0
	return omitted, true
}

// addressOf is the address that a request comes from, "" when it has none.
func addressOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

// clip bounds a text in bytes.
func clip(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
