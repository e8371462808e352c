package server

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

// Rules post without a signature, where calls of the API need one; and by the name of a load balancer.
func TestRulesPost(t *testing.T) {
	s, err := Open(service.Options{Data: memdir.New(t), Authentication: true}, WithRules("correct horse battery", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	payload := base64.StdEncoding.EncodeToString([]byte(`{"header":{"report_id":1,"version":"1.0"},"metrics":{}}`))
	post := func(secret string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://defender.example"+RulesPath, strings.NewReader(fmt.Sprintf(`[{"payload":%q,"thing":"core-1"}]`, payload)))
		r.Header.Set("X-Defender-Rule-Secret", secret)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}
	if code := post("wrong"); code != http.StatusForbidden {
		t.Errorf("%d", code)
	}
	if code := post("correct horse battery"); code != http.StatusOK {
		t.Errorf("%d", code)
	}
	if _, found, err := s.Thing(t.Context(), "core-1"); err != nil || !found {
		t.Errorf("%t, %v", found, err)
	}
	if _, err := Open(service.Options{Data: memdir.New(t)}, WithRules("short", nil)); err == nil {
		t.Error("a short secret is taken")
	}
}
