package service

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/device-defender/device-defender/internal/defender/detect"
	"github.com/device-defender/device-defender/internal/defender/outbox"
	"github.com/device-defender/device-defender/internal/defender/profile"
)

// Options say what a service is and where it keeps its state.
type Options struct {
	Data    string           // folder of the database file; created when missing
	Region  string           // in ARNs; default us-east-1
	Account string           // in ARNs; default 123456789012
	Now     func() time.Time // the service's clock; default time.Now
	Log     *slog.Logger     // default: no log
	// Uptime names the boot of the machine and says how long ago it was, to tell
	// a clock that is wrong from time that has passed. Default: the kernel's;
	// but when Now is set, time is what it says.
	Uptime func() (boot string, up time.Duration)
	// AcceptClock takes the time that the clock has for true, however far it is
	// ahead of what was known.
	AcceptClock bool
	ownClock    bool // Now is the machine's
	// Throttle holds callers to AWS's quotas of calls per second.
	Throttle bool
	// Pages makes the handler of the pages for people, at / and below /live/,
	// behind the same guard as the API's operations. A page that streams sets
	// its own write deadline (http.ResponseController). Nil: no pages.
	Pages func(*Service) http.Handler

	// MinReportInterval is the minimum time between two reports of one thing;
	// 0 is AWS's 300 s, negative is none. A tenth of it is forgiven.
	MinReportInterval time.Duration
	// MaxUnregistered is how many things may report that are not registered, and
	// MaxUnregisteredBytes how much all of them in a day; 0 is 100,000 and
	// 512 MB, negative is no limit. Anybody who reaches the service can make up
	// names.
	MaxUnregistered      int
	MaxUnregisteredBytes int64
	// CloudEvents says that Cloud is told of connections and messages: profiles
	// on cloud-side metrics are of use then.
	CloudEvents bool
	// Webhook is a URL that every alert is posted to, as JSON; default none.
	Webhook string
}

// Service is a Detect-compatible service. It is safe for concurrent use.
type Service struct {
	options Options
	log     *slog.Logger
	db      *bbolt.DB

	mu     sync.Mutex     // held by the one writer; owns engine
	engine *detect.Engine // mirrors the database; see write
	stale  bool           // engine was touched by a transaction that may fail
	mirror

	clock       clock
	turnedAway  turnedAway
	intake      intake
	outboxReady chan struct{} // wakes the delivery of alerts
	tasksReady  chan struct{} // wakes the mitigation tasks
	watch       watch
}

// Open opens the state in the folder and takes up where it was left.
func Open(o Options) (*Service, error) {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "123456789012"
	}
	if o.Now == nil {
		o.Now, o.ownClock = time.Now, true
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Webhook != "" {
		if err := outbox.CheckWebhook(o.Webhook); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, err
	}
	db, err := openDatabase(filepath.Join(o.Data, "defender.db"))
	if err != nil {
		return nil, err
	}
	s := &Service{options: o, log: o.Log, db: db, outboxReady: make(chan struct{}, 1), tasksReady: make(chan struct{}, 1)}
	if err := s.load(); err != nil {
		db.Close()
		return nil, err
	}
	s.startIntake()
	return s, nil
}

// load takes up what the database has.
func (s *Service) load() (err error) {
	defer noDamage(s.db.Path(), &err)()
	if err := createBuckets(s.db); err != nil {
		return err
	}
	if err := s.startClock(); err != nil {
		return err
	}
	s.mu.Lock()
	err = s.rebuild()
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("reading database %s: %w", s.db.Path(), err)
	}
	return s.endLost()
}

// Close commits the reports already accepted and closes the database.
func (s *Service) Close() error {
	s.stopIntake()
	return s.db.Close()
}

// now is the service's time, in UTC and whole milliseconds as the API's.
func (s *Service) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }

// arn returns the ARN of a resource of this account.
func (s *Service) arn(resource string) string {
	return fmt.Sprintf("arn:%s:iot:%s:%s:%s", profile.PartitionOf(s.options.Region), s.options.Region, s.options.Account, resource)
}

// read runs fn in a read-only transaction. It doesn't see the engine.
func (s *Service) read(fn func(tx *bbolt.Tx) error) (err error) {
	defer noDamage(s.db.Path(), &err)()
	return s.db.View(fn)
}

// write runs fn in the one read-write transaction at a time; fn may use the
// engine, and calls touch before it changes it. A transaction that fails
// afterwards, or panics, leaves the engine ahead of the database: it's read
// again.
func (s *Service) write(fn func(tx *bbolt.Tx) error) (err error) {
	defer noDamage(s.db.Path(), &err)()
	s.mu.Lock()
	defer s.mu.Unlock()
	committed := false
	defer func() {
		if s.stale && !committed {
			if err := s.rebuild(); err != nil {
				s.log.Error("rebuilding the engine failed", "error", err)
			}
		}
		s.stale = false
	}()
	err = s.db.Update(fn)
	if committed = err == nil; committed {
		s.watch.changed()
	}
	return err
}

// touch says that the engine is about to be changed in a transaction.
func (s *Service) touch() { s.stale = true }
