package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/device-defender/device-defender/internal/defender/service"
	"github.com/device-defender/device-defender/internal/greengrass/localcore"
)

// The profile that is published for silent devices alarms when the stand-in
// core has lost its connection for more than an hour, and clears when it is back.
func TestSilentDeviceAlarmsBehindACore(t *testing.T) {
	document, err := os.ReadFile("../../artifacts/profiles/silent-device.json")
	if err != nil {
		t.Fatal(err)
	}
	var profile map[string]json.RawMessage
	if err := json.Unmarshal(document, &profile); err != nil {
		t.Fatal(err)
	}
	delete(profile, "securityProfileName")
	body, err := json.Marshal(profile)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(service.Options{Data: folder, CloudEvents: true})
		if err != nil {
			t.Fatal(err)
		}
		handler := s.Handler()
		call := func(method, path, body string) string {
			t.Helper()
			r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
			return w.Body.String()
		}
		call("POST", "/security-profiles/SilentDevice", string(body))
		call("PUT", "/security-profiles/SilentDevice/targets?securityProfileTargetArn=arn:aws:iot:us-east-1:123456789012:all/things", "")
		core, err := localcore.New(localcore.Options{ThingName: "core-1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Attach(t.Context(), core, "core-1"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		inAlarm := func() bool {
			t.Helper()
			synctest.Wait()
			return strings.Contains(call("GET", "/active-violations", ""), "DisconnectedMinutes")
		}
		time.Sleep(2 * time.Hour)
		if inAlarm() {
			t.Error("in alarm though it is connected")
		}
		core.SetOnline(false)
		time.Sleep(45 * time.Minute)
		if inAlarm() {
			t.Error("in alarm after 45 minutes")
		}
		time.Sleep(30 * time.Minute)
		if !inAlarm() {
			t.Error("not in alarm after 75 minutes without a connection")
		}
		core.SetOnline(true)
		time.Sleep(30 * time.Minute)
		if inAlarm() {
			t.Error("in alarm though it is connected again")
		}
		if err := core.Close(); err != nil { // which is the end of the connection
			t.Error(err)
		}
		time.Sleep(75 * time.Minute)
		if !inAlarm() {
			t.Error("not in alarm 75 minutes after the core has ended")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
