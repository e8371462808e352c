package server

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/memdir"
)

// A server that runs has figures at /metrics, which come without pages of other
// origins reading them.
func TestMetrics(t *testing.T) {
	s, err := Open(service.Options{Data: memdir.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	err = s.While(t.Context(), func(ctx context.Context) error {
		get := func(origin string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode == http.StatusOK && !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
				t.Error(err, answer.Header)
			}
			return answer.StatusCode, string(text)
		}
		if code, _ := get("http://example.com"); code != http.StatusForbidden {
			t.Errorf("another origin: %d", code)
		}
		answer, err := http.Post(s.URL()+"/things/a/defender/metrics/json", "application/json", strings.NewReader("{"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		code, text := get("")
		for _, line := range []string{
			`device_defender_reports_total{source="http",status="InvalidPayload"} 1`, "device_defender_store_up 1", "device_defender_clock_leap_seconds 0", "go_goroutines ",
		} {
			if !strings.Contains(text, "\n"+line) {
				t.Errorf("%d, no %q in\n%s", code, line, text)
			}
		}
		http.DefaultClient.CloseIdleConnections()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The end of the certificate is told.
func TestMetricsOfCertificate(t *testing.T) {
	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	pair, private := newPair(t, "localhost")
	put(t, certificate, pair)
	put(t, key, private)
	c, err := LoadCertificate(certificate, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(service.Options{Data: memdir.New(t)}, WithCertificate(c))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	block, _ := pem.Decode(pair)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.metrics(s.Service).Text()
	found := regexp.MustCompile(`(?m)^device_defender_tls_certificate_not_after_timestamp_seconds (\S+)`).FindSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("%v, %s", err, text)
	}
	if end, err := strconv.ParseFloat(string(found[1]), 64); err != nil || int64(end) != parsed.NotAfter.Unix() {
		t.Errorf("%s, %v, want %v", found[1], err, parsed.NotAfter)
	}
}
