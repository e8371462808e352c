package demo

import (
	"net/http"
	"strings"
	"testing"
)

func post(t *testing.T, in *Inbox, body string) int {
	t.Helper()
	response, err := http.Post(in.URL(), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode
}

func TestInbox(t *testing.T) {
	in, err := OpenInbox()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	body := `{"violationEventTime":1573786800000,"thingName":"gateway-2","violationEventType":"in-alarm","violationId":"37e18651d207bbc74236c13faf146127"}`
	if status := post(t, in, body); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	alert := <-in.Alerts()
	if alert.Thing != "gateway-2" || alert.Type != "in-alarm" || alert.ViolationID != "37e18651d207bbc74236c13faf146127" || string(alert.Body) != body {
		t.Errorf("got %+v", alert)
	}
	if status := post(t, in, "not json"); status != http.StatusBadRequest {
		t.Errorf("status %d of a body that is no alert, want 400", status)
	}
	for range cap(in.alerts) {
		post(t, in, body)
	}
	if status := post(t, in, body); status != http.StatusServiceUnavailable {
		t.Errorf("status %d of a full inbox, want 503, so that the sender tries again", status)
	}
}
