package service

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/device-defender/device-defender/internal/defender/alert"
	"github.com/device-defender/device-defender/internal/defender/profile"
	"github.com/device-defender/device-defender/internal/defender/store"
)

// Options say what a service is and where it keeps its state.
type Options struct {
	Data    string           // folder of the database; created when missing
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
	ownClock    bool                              // Now is the machine's
	wrap        func(store.Backend) store.Backend // by tests
	// Throttle holds callers to AWS's quotas of calls per second.
	Throttle bool
	// Pages makes the handler of the pages for people, at / and below /live/,
	// behind the same guard as the API's operations. A page that streams sets
	// its own write deadline (http.ResponseController). With Authentication they
	// are for visitors, see [VisitorOf], but for /login, what is below it, and
	// /logout, which are for anybody. Nil: no pages.
	Pages func(*Service) http.Handler

	// Open are patterns of http.ServeMux and what authenticates its callers by itself,
	// beside the API.
	Open map[string]http.Handler

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
	// CloudConnections says that Cloud is told of connections, and not of messages.
	CloudConnections bool
	// CacheBytes is about how much memory is used for things that reported
	// lately; 0 is 128 MB.
	CacheBytes int
	lanes      int // 0 is by the number of processors
	// Authentication has every call signed with an access key. The first time, one
	// of the role admin is written to the file admin-credentials in the folder.
	Authentication bool
	// OpenID names the configuration by which an OpenID provider vouches for people;
	// "" is that none does. Sessions by another configuration are over.
	OpenID string
	// TLS has the API served over TLS, and Host reports whether the certificate is
	// for a name or address: see [awsrest.API].
	TLS  *tls.Config
	Host func(host string) bool
	// Registry is where things and groups are registered, if not here: the database mirrors
	// them by [Service.Mirror], and mitigation moves things there.
	Registry Registry
	// Metrics makes what is answered at /metrics; nil: nothing. MetricsToken is a file
	// with a bearer token that authenticates callers for it.
	Metrics      func(*Service) Scrape
	MetricsToken string
	// Channels are what alerts are sent to besides the SNS topics of profiles.
	Channels []alert.Channel
	// Topics are the SNS topics that profiles may name. Whoever may change profiles
	// has this process sign messages to them, with the credentials that it finds;
	// default none.
	Topics alert.Topics
}

// Service is a Detect-compatible service. It is safe for concurrent use.
type Service struct {
	options Options
	log     *slog.Logger
	store   *store.Store
	path    string // of the store

	clock       clock
	rules       rulesCache
	intake      intake
	operator    *lane // what operations of the API count by
	turnedAway  turnedAway
	jobsDone    jobsDone
	jobsReady   chan struct{} // wakes the jobs
	outboxReady chan struct{} // wakes the delivery of alerts
	watch       watch
	guesses     guesses
	elsewhere   tasksElsewhere
	refusals    refusals
	backingUp   sync.Mutex // held while a backup is written
	tallies     tallies
	census      census
	http        *Tally // of reports by HTTP
	scrape      Scrape
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
	for i := range o.Channels {
		if err := o.Channels[i].Check(); err != nil {
			return nil, err
		}
	}
	if err := o.Topics.Check(); err != nil {
		return nil, err
	}
	backend, err := openStore(&o)
	if err != nil {
		return nil, err
	}
	if o.wrap != nil {
		backend = o.wrap(backend)
	}
	s := &Service{
		options: o, log: o.Log, store: store.New(backend), path: filepath.Join(o.Data, storeFolder),
		jobsReady: make(chan struct{}, 1), outboxReady: make(chan struct{}, 1), census: census{wanted: make(chan struct{}, 1)},
	}
	s.http = s.Tally("http")
	if o.Metrics != nil {
		s.scrape = o.Metrics(s)
	}
	if err := s.load(context.Background()); err != nil {
		if err := s.store.Close(); err != nil {
			o.Log.Warn("closing the database failed", "error", err)
		}
		return nil, err
	}
	s.startIntake()
	return s, nil
}

// load takes up what the database has.
func (s *Service) load(ctx context.Context) error {
	if err := s.checkData(ctx); err != nil {
		return err
	}
	if err := s.startClock(ctx); err != nil {
		return err
	}
	rules, err := s.currentRules(ctx)
	if err != nil {
		return fmt.Errorf("reading database %s: %w", s.path, err)
	}
	s.sayWithoutEffect(rules, "")
	if s.options.Authentication {
		return s.firstKey(ctx)
	}
	return nil
}

// Close commits the reports already accepted and closes the database.
func (s *Service) Close() error {
	s.stopIntake()
	return s.store.Close()
}

// now is the service's time, in UTC and whole milliseconds as the API's.
func (s *Service) now() time.Time { return s.options.Now().UTC().Truncate(time.Millisecond) }

// arn returns the ARN of a resource of this account.
func (s *Service) arn(resource string) string {
	return fmt.Sprintf("arn:%s:iot:%s:%s:%s", profile.PartitionOf(s.options.Region), s.options.Region, s.options.Account, resource)
}
