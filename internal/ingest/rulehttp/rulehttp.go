package rulehttp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/device-defender/device-defender/internal/ingest"
	"github.com/device-defender/device-defender/internal/ingest/iotrule"
)

const (
	// Path is where rules post to, and the confirmation URL of a destination.
	Path = "/rules/reports"
	// SecretHeader is the header with the secret.
	SecretHeader = "X-Defender-Rule-Secret"

	// maxBody is more than AWS's longest batch, 128 KiB of payloads, in base64.
	maxBody = 1 << 20
	// maxMessages is more than AWS's longest batch, 10.
	maxMessages = 100
	minSecret   = 16
)

// Options say what is taken.
type Options struct {
	Rules func() *ingest.Rules
	// Secret is what rules send in [SecretHeader].
	Secret string
	// Accounts whose destinations are confirmed.
	Accounts  []string
	Transport http.RoundTripper // to AWS IoT; default [http.DefaultTransport]
	Log       *slog.Logger      // default: no log
}

type handler struct {
	options  Options
	secret   [sha256.Size]byte
	log      *slog.Logger
	warnings *rate.Limiter // of log lines that callers cause
	confirms *rate.Limiter
}

// Check says whether the options can be used.
func (o Options) Check() error {
	if len(o.Secret) < minSecret || strings.TrimSpace(o.Secret) != o.Secret {
		return fmt.Errorf("the secret of rules has %d characters, want at least %d without spaces around", len(o.Secret), minSecret)
	}
	for _, account := range o.Accounts {
		if !accountID.MatchString(account) {
			return fmt.Errorf("account %.20q is not 12 digits", account)
		}
	}
	return nil
}

// Handlers returns the handlers, by their patterns of [http.ServeMux].
func Handlers(o Options) (map[string]http.Handler, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{options: o, secret: sha256.Sum256([]byte(o.Secret)), log: o.Log, warnings: rate.NewLimiter(1, 20), confirms: rate.NewLimiter(1, 5)}
	// AWS IoT puts a slash between the confirmation URL and the token.
	return map[string]http.Handler{"POST " + Path: h, "POST " + Path + "/{$}": h}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	confirmation := r.Header.Get("x-amz-rules-engine-message-type") == "DestinationConfirmation"
	if !confirmation && !h.knows(r.Header.Get(SecretHeader)) {
		h.warn("a post to "+Path+" without the secret is refused", "remote", r.RemoteAddr)
		http.Error(w, "the header "+SecretHeader+" is not right", http.StatusForbidden)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body can't be read, or is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if confirmation {
		h.confirmation(w, r, body)
		return
	}
	h.batch(w, r, body)
}

// knows compares in constant time.
func (h *handler) knows(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], h.secret[:]) == 1
}

func (h *handler) confirmation(w http.ResponseWriter, r *http.Request, body []byte) {
	arn, enable, err := parseConfirmation(body, h.options.Accounts)
	if err != nil {
		h.warn("a destination is not confirmed", "remote", r.RemoteAddr, "error", err)
		http.Error(w, "this destination is not confirmed", http.StatusForbidden)
		return
	}
	if !h.confirms.Allow() {
		http.Error(w, "too many confirmations", http.StatusTooManyRequests)
		return
	}
	if err := h.confirm(r.Context(), enable); err != nil {
		h.log.Error("a destination can't be confirmed", "destination", arn, "error", err)
		http.Error(w, "the destination can't be confirmed", http.StatusBadGateway)
		return
	}
	h.log.Info("a destination of AWS IoT is confirmed", "destination", arn)
	w.WriteHeader(http.StatusOK)
}

// batch takes one message or an array of them.
func (h *handler) batch(w http.ResponseWriter, r *http.Request, body []byte) {
	raw, err := split(body)
	if err != nil {
		h.warn("a post of a rule can't be read", "error", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var messages []*iotrule.Message
	for _, one := range raw {
		m, err := iotrule.Parse(one)
		switch {
		case err == nil:
			messages = append(messages, m)
		case !errors.Is(err, iotrule.ErrIgnored):
			h.warn("a message of a rule can't be taken", "error", err)
		}
	}
	slices.SortStableFunc(messages, func(a, b *iotrule.Message) int { return a.Time.Compare(b.Time) })
	for _, m := range messages {
		// A report that is being stored is stored, also if AWS IoT waits no longer.
		err := h.options.Rules().Take(context.WithoutCancel(r.Context()), m)
		switch {
		case errors.Is(err, ingest.ErrUnavailable):
			http.Error(w, "the reports could not be stored", http.StatusServiceUnavailable)
			return
		case err != nil:
			h.warn("a message of a rule can't be taken", "error", err)
		}
	}
	w.WriteHeader(http.StatusOK)
}

// split returns the messages of a body.
func split(body []byte) ([]json.RawMessage, error) {
	if text := bytes.TrimLeft(body, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return []json.RawMessage{body}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errors.New("the body is neither a JSON object nor an array of them")
	}
	if len(list) > maxMessages {
		return nil, fmt.Errorf("%d messages, want at most %d", len(list), maxMessages)
	}
	return list, nil
}

func (h *handler) warn(message string, args ...any) {
	if h.warnings.Allow() {
		h.log.Warn(message, args...)
	}
}
