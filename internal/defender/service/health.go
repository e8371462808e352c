package service

import (
	"net/http"

	"github.com/device-defender/device-defender/internal/defender/store"
)

// health is what programs ask that watch the service, without credentials: it
// tells nothing else.
func (s *Service) health() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) }),
		"GET /readyz":  http.HandlerFunc(s.readyz),
	}
}

// readyz answers whether the database can be read.
func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	err := s.read(r.Context(), func(view *store.Reader) error {
		_, _, err := tableMeta.Get(view, metaRules)
		return err
	})
	if err != nil {
		http.Error(w, "the database can't be read", http.StatusServiceUnavailable)
		return
	}
	w.Write([]byte("ok\n"))
}
